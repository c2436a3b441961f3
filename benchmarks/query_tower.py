"""Search by the query tower on a public set with human judgements: `python -m benchmarks.query_tower`.

The catalogue is 19,406 electronics products; shoppers' clicks are not part of the set. The tower learns from queries
made up of the products' own words and is tested on the judged queries, which it never sees.
"""

import argparse
import csv
import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.machine import RESULTS, machine, save
from contracts.catalogue import Item
from contracts.ids import ItemId
from services.embedding.wordllama_text import WordLlamaText
from services.retrieval.lexical import LexicalIndex
from training.data.query_pairs import QueryPairs, made_up_pairs
from training.model.content import ContentShape, ContentTable, ItemContent
from training.model.fusion import FusionConfig, FusionTransformer
from training.model.query_tower import QueryTokens, SearchQuery
from training.model.vocabulary import Vocabulary
from training.query_training import QueryLoop, fit_queries, fit_queries_and_content
from training.text_start import begin_with_text

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "chorus_electronics"
K = 10
RANK_OFFSET = 60
Scores = NDArray[np.float32]
Judgements = Mapping[str, Mapping[int, int]]


def products(folder: Path) -> list[Item]:
    """The catalogue as a shop would load it."""
    with gzip.open(folder / "products.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    return [
        Item(
            item_id=ItemId(row["id"]),
            title=row["title"][:500],
            description=row.get("short_description") or "",
            category=str(row.get("attr_t_product_type") or "")[:200],
            brand=str(row.get("supplier") or "")[:200],
            price_cents=row.get("price"),
        )
        for row in rows
    ]


def judged(folder: Path, vocabulary: Vocabulary) -> Judgements:
    """Ratings 0 to 3 by query and item index."""
    ratings: dict[str, dict[int, int]] = defaultdict(dict)
    with (folder / "judgements.csv").open() as file:
        for row in csv.DictReader(file):
            index = vocabulary.index(ItemId(row["docid"]))
            if index is not None:
                ratings[row["query"]][index] = int(row["rating"])
    return {query: rated for query, rated in ratings.items() if any(rated.values())}


def ndcg(scores: Scores, rated: Mapping[int, int], *, judged_only: bool) -> float:
    """NDCG@10 with gains 2^rating - 1 (Burges et al. 2005); items without a judgement are left out, or count as 0."""
    places = np.array(list(rated), dtype=np.int64)
    order = places[np.argsort(-scores[places], kind="stable")] if judged_only else np.argsort(-scores, kind="stable")
    discounts = 1 / np.log2(np.arange(2, K + 2))
    gains = np.array([2.0 ** rated.get(int(index), 0) - 1 for index in order[:K]])
    best = np.array(sorted((2.0**rating - 1 for rating in rated.values()), reverse=True)[:K])
    return float((gains * discounts[: len(gains)]).sum() / (best * discounts[: len(best)]).sum())


def quality(scores: Callable[[str], Scores], ratings: Judgements) -> tuple[float, float]:
    """Mean NDCG@10 of the queries: among judged products, and in the whole catalogue."""
    every = [(scores(query), rated) for query, rated in ratings.items()]
    judged_only, whole = (
        float(np.mean([ndcg(row, rated, judged_only=only) for row, rated in every])) for only in (True, False)
    )
    return judged_only, whole


def fused(lists: Sequence[Scores]) -> Scores:
    """Reciprocal ranks of several rankings added: Cormack et al. (2009)."""
    total = np.zeros(len(lists[0]), dtype=np.float32)
    for scores in lists:
        ranks = np.empty(len(scores), dtype=np.float32)
        ranks[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
        total += np.where(scores > -np.inf, 1 / (RANK_OFFSET + ranks), 0.0).astype(np.float32)
    return total


def main() -> None:
    """Fits, tests and keeps."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, default=DATA)
    arguments.add_argument("--widths", type=int, nargs="+", default=[64, 128])
    arguments.add_argument("--epochs", type=int, default=8)
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--save", action="store_true")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    on = machine()
    encoder, items = WordLlamaText(), products(given.data)
    texts = encoder.encode([item.text() for item in items])
    table = ContentTable(ContentShape(texts.shape[1], 0, len(items)), Vocabulary(item.item_id for item in items))
    table.put(ItemContent(item, text, None) for item, text in zip(items, texts, strict=True))
    ratings = judged(given.data, table.vocabulary)
    asked = dict(zip(ratings, encoder.encode(list(ratings)), strict=True))
    words = by_words(items, table.vocabulary)
    rankers: dict[str, Callable[[str], Scores]] = {
        "words (the gateway's index)": words,
        "text encoder": lambda query: texts @ asked[query],
        "words + text encoder": lambda query: fused([words(query), texts @ asked[query]]),
    }
    figures = {name: [quality(scores, ratings)] for name, scores in rankers.items()}
    for width in given.widths:
        for seed in range(given.seeds):
            for name, model in fitted(table, encoder, width, given.epochs, seed).items():
                tokens = QueryTokens.of([SearchQuery(vector) for vector in asked.values()], table.shape, width)
                with torch.no_grad():
                    logits = (model.queries(tokens) @ item_vectors(model, table).T).numpy()
                found = dict(zip(asked, logits, strict=True))
                figures.setdefault(f"query tower, D {width}, {name}", []).append(quality(found.__getitem__, ratings))
            both = quality(lambda query, found=found: fused([words(query), found[query]]), ratings)
            figures.setdefault(f"words + query tower, D {width}, the last one", []).append(both)
    print()
    command = (
        f"python -m benchmarks.query_tower --widths {' '.join(map(str, given.widths))} --epochs {given.epochs} "
        f"--seeds {given.seeds} --save"
    )
    head = (
        f"# Search by the query tower: Chorus electronics\n\n`{command}`, {on['processor']}, {on['cores']} cores, "
        f"Python {on['python']}, {on['at']}.\n\n{len(items):,} products; NDCG@10 over the {len(ratings)} judged "
        "queries that have a product rated above 0. The towers learn from queries made up of the products' own words "
        f"and never see a judgement. Mean (lowest to highest) of {given.seeds} seeds.\n\n"
    )
    lines = ["| | judged products only | whole catalogue, unjudged as 0 |", "|---|---|---|"]
    for name, seeds in figures.items():
        cells = [f"{np.mean(each):.3f} ({min(each):.3f} to {max(each):.3f})" for each in zip(*seeds, strict=True)]
        lines.append(f"| {name} | {cells[0]} | {cells[1]} |")
    report = head + "\n".join(lines) + "\n"
    print(report)
    if given.save:
        (RESULTS / "query_tower.md").write_text(report)
        print("saved:", save("query_tower", {"command": command, "machine": on, "figures": figures}))


def fitted(
    table: ContentTable, encoder: WordLlamaText, width: int, most_epochs: int, seed: int
) -> dict[str, FusionTransformer]:
    """Models from the least to the most taught, by what is done to them."""

    def pairs(epoch: int) -> QueryPairs:
        return made_up_pairs(table, encoder.encode, width, np.random.default_rng([seed, epoch]))

    def told(what: str, share: float) -> None:
        print(f"\r{name}, {what}     ", end="", flush=True)

    models: dict[str, FusionTransformer] = {}
    for name, text_start, items_learn in (
        ("items at random", False, False),
        ("items by text", True, False),
        ("items by text, content learns too", True, True),
    ):
        for epochs in (0, most_epochs):
            torch.manual_seed(seed)
            model = FusionTransformer(FusionConfig(table.shape, width))
            if text_start:
                begin_with_text(model, table)
            loop = QueryLoop(epochs=epochs)
            if items_learn:
                fit_queries_and_content(model, table, pairs, loop, seed, told)
            else:
                fit_queries(model, item_vectors(model, table), pairs, loop, seed, told)
            if epochs or not items_learn:
                models[f"{name}, {epochs} epochs"] = model.eval()
    return models


def item_vectors(model: FusionTransformer, table: ContentTable) -> Tensor:
    """Vectors (N, D) by content alone: no one has touched these items, so that their id rows say nothing."""
    model.eval()
    with torch.no_grad():
        parts = [
            model.items(table.tokens(places).without_ids())
            for places in np.array_split(np.arange(len(table.vocabulary)), 16)
        ]
    return torch.cat(parts)


def by_words(items: Sequence[Item], vocabulary: Vocabulary) -> Callable[[str], Scores]:
    """The gateway's word index as scores of all items; minus infinity where no word is shared."""
    index = LexicalIndex()
    for item in items:
        index.put(item)

    def scores(query: str) -> Scores:
        every = np.full(len(vocabulary), -np.inf, dtype=np.float32)
        for candidate in index.search(query, len(vocabulary)):
            place = vocabulary.index(candidate.item_id)
            if place is not None:
                every[place] = candidate.score
        return every

    return scores


if __name__ == "__main__":
    main()
