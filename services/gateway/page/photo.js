// Pictures that a shopper hands over: by the file button, by dropping, or by pasting. A large one is made smaller here,
// so that the request stays small; one that the browser cannot read goes as it is, and the gateway says what is wrong.

const LARGEST_SIDE = 1024;
const KEPT_AS_IS_BYTES = 600000;

function asDataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result));
    reader.addEventListener("error", () => reject(reader.error));
    reader.readAsDataURL(blob);
  });
}

async function smaller(file) {
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) return file;
  const scale = Math.min(1, LARGEST_SIDE / Math.max(bitmap.width, bitmap.height));
  if (scale === 1 && file.size <= KEPT_AS_IS_BYTES) return file;
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(bitmap.width * scale);
  canvas.height = Math.round(bitmap.height * scale);
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob((blob) => resolve(blob ?? file), "image/jpeg", 0.9));
}

/** A chosen file as `{url, base64}`: a data URL to preview, and the base64 that the API takes. */
export async function readPhoto(file) {
  const url = await asDataUrl(await smaller(file));
  return { url, base64: url.slice(url.indexOf(",") + 1) };
}

const pictureIn = (files) => [...(files ?? [])].find((file) => file.type.startsWith("image/"));

/** Calls `onFile` for a picture dropped on or pasted into the page; `overlay` shows while one is held above it. */
export function watchDrops(overlay, onFile) {
  let depth = 0;
  const carriesFile = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const hover = (change) => {
    depth = Math.max(0, depth + change);
    overlay.hidden = depth === 0;
  };
  addEventListener("dragenter", (event) => carriesFile(event) && hover(1));
  addEventListener("dragleave", (event) => carriesFile(event) && hover(-1));
  addEventListener("dragover", (event) => carriesFile(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!carriesFile(event)) return;
    event.preventDefault();
    depth = 0;
    overlay.hidden = true;
    const file = pictureIn(event.dataTransfer.files);
    if (file) onFile(file);
  });
  addEventListener("paste", (event) => {
    const file = pictureIn(event.clipboardData?.files);
    if (file) onFile(file);
  });
}
