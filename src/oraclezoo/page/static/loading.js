// Load ONNX Runtime, whose wasm file is large: with progress, and cached between visits.

const RUNTIME = "ort.wasm.bundle.min.mjs";
const WASM = "ort-wasm-simd-threaded.wasm";
const CACHE = "oraclezoo-runtime";

/**
 * Load ONNX Runtime from `folder`; `bytes` and `sha256` describe its wasm file. `onProgress`
 * receives the fraction that is loaded. Throws an Error with a message for the visitor.
 */
export async function loadRuntime({ folder, bytes, sha256 }, onProgress) {
  const wasm = await wasmOf(`${folder}/${WASM}`, bytes, sha256, onProgress);
  const ort = await import(`${folder}/${RUNTIME}`);
  ort.env.wasm.numThreads = 1; // more threads require headers that a plain file server does not send
  ort.env.wasm.proxy = false;
  ort.env.wasm.wasmBinary = wasm;
  return ort;
}

/** Load the wasm file, which the browser's cache stores under its digest. */
async function wasmOf(url, bytes, sha256, onProgress) {
  const key = `${url}?${sha256}`;
  const cache = await globalThis.caches?.open(CACHE).catch(() => null);
  const kept = await cache?.match(key);
  if (kept) return kept.arrayBuffer();
  const response = await answered(url);
  const content = new Uint8Array(bytes);
  let loaded = 0;
  for await (const chunk of chunksOf(response.body)) {
    if (loaded + chunk.length > bytes) break;
    content.set(chunk, loaded);
    loaded += chunk.length;
    onProgress(loaded / bytes);
  }
  if (loaded !== bytes) throw new Error("The model runtime was not loaded completely. Reload the page.");
  if (cache) {
    await cache.delete(url, { ignoreSearch: true }); // an older version of the file
    await cache.put(key, new Response(content)).catch(() => {}); // a full cache is not an error
  }
  return content.buffer;
}

async function* chunksOf(body) {
  const reader = body.getReader(); // Safari cannot iterate over a stream
  for (let step = await reader.read(); !step.done; step = await reader.read()) yield step.value;
}

/** Return the response for a file. Throws an Error with a message for the visitor. */
export async function answered(url) {
  const response = await fetch(url).catch(() => null);
  if (!response?.ok) throw new Error(`${url.split("/").pop()} cannot be loaded. Reload the page.`);
  return response;
}
