// Sends a file to the sources store in parts; what was sent is not sent again, after a reload of the page either.

import { address, ApiError, call } from "./api";

interface BegunUpload {
  upload_id: string;
  part_bytes: number;
  parts: number[];
  count: number;
  uri: string;
}

const AT_A_TIME = 3;
/** With the waits of `pause`: about a minute without a network is survived. */
const TRIES = 6;

const pause = (tries: number): Promise<void> => new Promise((done) => setTimeout(done, 1000 * 2 ** tries));

const MEMORY = "vod-upload/";

/** Under which the upload of a file is remembered: the same file again continues it. */
const memoryOf = (file: File): string => `${MEMORY}${file.name}/${file.size}/${file.lastModified}`;

async function begin(file: File, signal: AbortSignal): Promise<BegunUpload> {
  const known = localStorage.getItem(memoryOf(file));
  if (known !== null) {
    try {
      return await call<BegunUpload>(`vod/api/uploads/${known}`, { signal });
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
    }
  }
  const begun = await call<BegunUpload>("vod/api/uploads", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ name: file.name, size_bytes: file.size }),
    signal,
  });
  localStorage.setItem(memoryOf(file), begun.upload_id);
  return begun;
}

/** An upload that was begun in this browser and is not complete. */
export interface OpenUpload {
  key: string;
  name: string;
  size: number;
  /** Bytes that are there. */
  sent: number;
}

/** What can be continued. Uploads that were removed meanwhile are forgotten. */
export async function openUploads(signal: AbortSignal): Promise<OpenUpload[]> {
  const keys = Object.keys(localStorage).filter((key) => key.startsWith(MEMORY));
  const found = await Promise.all(
    keys.map(async (key): Promise<OpenUpload | null> => {
      const [, name = "", size] = /^(.*)\/(\d+)\/\d+$/s.exec(key.slice(MEMORY.length)) ?? [];
      try {
        const begun = await call<BegunUpload>(`vod/api/uploads/${localStorage.getItem(key)}`, { signal });
        return { key, name, size: Number(size), sent: Math.min(Number(size), begun.parts.length * begun.part_bytes) };
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) localStorage.removeItem(key);
        return null;
      }
    }),
  );
  return found.filter((upload) => upload !== null);
}

/** Remove what was sent of an upload. */
export async function giveUp({ key }: OpenUpload): Promise<void> {
  await call(`vod/api/uploads/${localStorage.getItem(key)}`, { method: "DELETE" });
  localStorage.removeItem(key);
}

/** Send one part by XMLHttpRequest, because `fetch` tells nothing of what was sent so far. */
const put = (path: string, body: Blob, signal: AbortSignal, sent: (bytes: number) => void): Promise<void> =>
  new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    const abort = (): void => request.abort();
    request.open("PUT", address(path));
    request.setRequestHeader("X-Requested-With", "vod");
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = (event) => sent(event.loaded);
    request.onload = () => {
      if (request.status < 300) return done();
      let detail: unknown = null;
      try {
        detail = (JSON.parse(request.responseText) as { detail?: unknown }).detail;
      } catch {
        // A proxy's page; the status says enough.
      }
      const message = typeof detail === "string" ? detail : `The upload was answered with status ${request.status}.`;
      return failed(new ApiError(request.status, message));
    };
    request.onerror = () => failed(new ApiError(0, "Airflow cannot be reached."));
    request.onabort = () => failed(new DOMException("given up", "AbortError"));
    request.onloadend = () => signal.removeEventListener("abort", abort);
    signal.addEventListener("abort", abort);
    request.send(body);
  });

const isTemporary = (error: unknown): boolean =>
  error instanceof ApiError &&
  (error.status === 0 || error.status === 408 || error.status === 429 || error.status >= 500) &&
  error.status !== 507;

/** Upload a file; returns its URI, for a request's `source`. `progress` gets the bytes that are there. */
export async function upload(file: File, signal: AbortSignal, progress: (bytes: number) => void): Promise<string> {
  const begun = await begin(file, signal);
  const base = `vod/api/uploads/${begun.upload_id}`;
  const lengthOf = (number: number): number => Math.min(begun.part_bytes, file.size - (number - 1) * begun.part_bytes);
  const sent = new Map(begun.parts.map((number) => [number, lengthOf(number)]));
  const tell = (): void => progress([...sent.values()].reduce((sum, bytes) => sum + bytes, 0));
  const missing = Array.from({ length: begun.count }, (_, index) => index + 1).filter((number) => !sent.has(number));
  tell();

  const send = async (number: number): Promise<void> => {
    const from = (number - 1) * begun.part_bytes;
    for (let tries = 0; ; tries += 1) {
      try {
        await put(`${base}/parts/${number}`, file.slice(from, from + lengthOf(number)), signal, (bytes) => {
          sent.set(number, bytes);
          tell();
        });
        sent.set(number, lengthOf(number));
        return tell();
      } catch (error) {
        sent.delete(number);
        tell();
        if (!isTemporary(error) || tries + 1 >= TRIES) throw error;
        await pause(tries);
        signal.throwIfAborted();
      }
    }
  };
  const work = async (): Promise<void> => {
    try {
      for (let number = missing.shift(); number !== undefined; number = missing.shift()) await send(number);
    } catch (error) {
      missing.length = 0; // nothing more is begun
      throw error;
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, work));
  const { uri } = await call<{ uri: string }>(`${base}/complete`, { method: "POST", signal });
  localStorage.removeItem(memoryOf(file));
  return uri;
}
