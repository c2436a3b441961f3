"""SASRec of RecBole on an atomic file: one JSON line of throughput or of quality. Runs in RecBole's own environment.

RecBole 1.2.1 was written for older numpy and torch: names that they have dropped are given back before it is imported.
"""

import argparse
import json
import time
import warnings

import numpy as np
import torch

OLD_NAMES = {"bool8": "bool_", "float_": "float64", "unicode_": "str_", "complex_": "complex128"}


def restore_old_names() -> None:
    """What RecBole expects of numpy and torch."""
    warnings.simplefilter("ignore")
    for old, new in OLD_NAMES.items():
        if old not in np.__dict__:
            setattr(np, old, getattr(np, new))
    load = torch.load
    torch.load = lambda *given, **named: load(*given, **{"weights_only": False, **named})


def main() -> None:
    """Runs as asked."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", help="holds NAME/NAME.inter")
    arguments.add_argument("name")
    arguments.add_argument("--width", type=int, default=64)
    arguments.add_argument("--layers", type=int, default=2)
    arguments.add_argument("--heads", type=int, default=4)
    arguments.add_argument("--length", type=int, default=50)
    arguments.add_argument("--dropout", type=float, default=0.5)
    arguments.add_argument("--batch", type=int, default=2048)
    arguments.add_argument("--steps", type=int, default=0, help="time so many steps, and no more")
    arguments.add_argument("--minutes", type=float, default=10.0, help="train for quality, at most so long")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    restore_old_names()
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.model.sequential_recommender import SASRec
    from recbole.trainer import Trainer
    from recbole.utils import init_seed

    config = Config(
        model="SASRec",
        dataset=given.name,
        config_dict={
            "data_path": given.folder,
            "checkpoint_dir": given.folder,
            "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
            "MAX_ITEM_LIST_LENGTH": given.length,
            "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full", "group_by": "user"},
            "train_neg_sample_args": None,
            "loss_type": "CE",
            "hidden_size": given.width,
            "inner_size": 4 * given.width,
            "n_layers": given.layers,
            "n_heads": given.heads,
            "hidden_dropout_prob": given.dropout,
            "attn_dropout_prob": given.dropout,
            "train_batch_size": given.batch,
            "eval_batch_size": 512,
            "metrics": ["NDCG", "Recall"],
            "topk": [10],
            "valid_metric": "NDCG@10",
            "use_gpu": False,
            "show_progress": False,
            "state": "ERROR",
        },
    )
    init_seed(config["seed"], True)
    dataset = create_dataset(config)
    train, valid, test = data_preparation(config, dataset)
    model = SASRec(config, train.dataset).to("cpu")
    if given.steps:
        print(json.dumps(throughput(model, train, given.steps)))
        return
    trainer = Trainer(config, model)
    began, curve, best, state, worse = time.monotonic(), [], -1.0, {}, 0
    while time.monotonic() - began < 60 * given.minutes and worse < 5:
        trainer._train_epoch(train, len(curve))
        figure, _ = trainer._valid_epoch(valid)
        curve.append(float(figure))
        worse += 1
        if figure > best:
            best, worse = figure, 0
            state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.load_state_dict(state)
    print(
        json.dumps(
            {
                "ranks": ranks(model, test),
                "epochs": len(curve),
                "ended_by_itself": worse >= 5,
                "curve": curve,
                "seconds": time.monotonic() - began,
            }
        )
    )


@torch.no_grad()
def ranks(model: torch.nn.Module, test: object) -> list[int]:
    """The place of each test user's target among all items that the user had not touched; ties count against it.

    RecBole's own evaluation of sequences leaves what was touched in the ranking, which our protocol does not.
    """
    model.eval()
    found = []
    for batch, *_ in test:
        scores = model.full_sort_predict(batch).view(len(batch), -1)
        target = batch["item_id"].unsqueeze(1)
        own = scores.gather(1, target)
        scores[:, 0] = -torch.inf  # the padding
        scores.scatter_(1, batch["item_id_list"], -torch.inf)
        scores.scatter_(1, target, -torch.inf)
        found += (1 + (scores >= own).sum(1)).tolist()
    return found


def throughput(model: torch.nn.Module, train: object, steps: int) -> dict[str, float]:
    """Targets learned a second, one a row, over so many steps after two to warm up; input and optimizer included."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    rows, began = 0, 0.0
    for place, batch in enumerate(train):
        if place == 2:
            rows, began = 0, time.monotonic()
        if place == steps + 2:
            break
        optimizer.zero_grad()
        model.calculate_loss(batch).backward()
        optimizer.step()
        rows += len(batch)
    seconds = time.monotonic() - began
    return {"targets": rows, "seconds": seconds, "rows_an_epoch": len(train.dataset)}


if __name__ == "__main__":
    main()
