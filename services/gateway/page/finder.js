// The search box: words, a picture, or both. It knows nothing of the list; it calls `onSearch` with what was asked for.

import { byId, say } from "./dom.js";
import { Problem } from "./api.js";
import { readPhoto, watchDrops } from "./photo.js";

/** Wires the box. `onSearch({text, photo})` for a search, `onClear()` when nothing is left to search by. */
export function createFinder({ onSearch, onClear, busy }) {
  const text = byId("search-text");
  const file = byId("search-picture");
  let photo = null;
  let searched = false;

  function preview() {
    byId("picked").hidden = photo === null;
    byId("picked-image").src = photo?.url ?? "data:,";
    text.placeholder = photo ? "Add words, if you like" : "Search by words or a picture";
  }

  function submit() {
    const words = text.value.trim();
    if (!words && !photo) {
      if (searched) onClear();
      searched = false;
      return;
    }
    searched = true;
    onSearch({ text: words, photo });
  }

  async function take(chosen) {
    if (busy()) return;
    try {
      photo = await readPhoto(chosen);
    } catch (error) {
      say(new Problem({ title: "The picture cannot be read", detail: error.message }));
      return;
    }
    preview();
    submit();
  }

  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  text.addEventListener("search", () => text.value === "" && submit());
  file.addEventListener("change", () => {
    if (file.files[0]) take(file.files[0]);
    file.value = "";
  });
  byId("picked-clear").addEventListener("click", () => {
    photo = null;
    preview();
    submit();
    text.focus();
  });
  watchDrops(byId("drop"), take);

  return {
    clear() {
      photo = null;
      text.value = "";
      searched = false;
      preview();
    },
  };
}
