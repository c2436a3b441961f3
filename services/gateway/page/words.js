// What the API's short words mean to a shopper: sources of candidates, reasons of degradation, stages of a trace.

const SOURCES = {
  model: ["Your taste", "The model finds it close to what you have looked at and bought."],
  co_visit: ["Goes together", "Shoppers who opened what you opened also opened this."],
  trending: ["Trending", "Many shoppers look at it now."],
  content: ["Similar", "Its words and picture are like those of things you opened."],
  text: ["Your words", "It matches what you typed."],
  picture: ["Your picture", "It looks like your picture."],
};

const DEGRADATIONS = {
  features_unavailable: "Your history cannot be read, so this list is not personal",
  features_refilling: "The store of histories was lost and is being refilled: this list is not yet personal",
  vectors_unavailable: "The vector store is away: candidates come from what goes together and what is trending",
  vectors_refilling: "The vector store was lost and is being refilled: look-alikes are incomplete",
  no_model: "No model is trained yet: products are in the order of what is popular",
  source_failed: "A source of candidates failed: products that it alone finds are missing",
  ranking_failed: "The model could not rank: products are in the order of their sources",
  embedding_unavailable: "Words and pictures cannot be read: search falls back to what else is known",
  learner_stale: "The learner is away: clicks still change your list, the model learns from them later",
  streams_stale: "The stream is behind: your newest clicks reach this list later",
  log_unavailable: "The event log is away: new clicks cannot be kept",
  empty_catalogue: "There is no product in the catalogue yet",
};

/** The stages in the order in which they usually pass, and how the strip names them. */
export const STAGES = [
  ["received", "Received"],
  ["logged", "Logged"],
  ["folded", "Folded"],
  ["features_written", "Features written"],
  ["answered_with_features", "List changed"],
  ["example_emitted", "Example"],
  ["learned", "Learned"],
  ["published", "Published"],
  ["answered_with_weights", "Answered"],
];

/** The stages at which one of the two live figures is known. */
export const MILESTONES = new Set(["answered_with_features", "answered_with_weights"]);

const DEEDS = { click: "click", view: "look", add_to_cart: "basket", purchase: "purchase" };

const plain = (word) => String(word).replaceAll("_", " ");

/** A source in a word or two; for a shopper without history the model's choice is no taste of theirs yet. */
export function sourceName(source, eventsInHistory) {
  if (source === "model" && eventsInHistory === 0) return "Our pick";
  return SOURCES[source]?.[0] ?? plain(source);
}

export const sourceReason = (source) => SOURCES[source]?.[1] ?? `Proposed by: ${plain(source)}.`;
export const degradation = (reason) => DEGRADATIONS[reason] ?? plain(reason);
export const deed = (kind) => DEEDS[kind] ?? "click";
