import { useEffect, useState } from "react";

/** A picture of a sheet, and the time that it stands for. */
export interface Picture {
  from_s: number;
  to_s: number;
  sheet: string;
  x: number;
  y: number;
  width: number;
  height: number;
}

const CUE = /([\d:.]+)\s+-->\s+([\d:.]+)[^\n]*\n([^\n#]+)#xywh=(\d+),(\d+),(\d+),(\d+)/g;

const secondsOf = (time: string): number => time.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);

/** The pictures of a WebVTT storyboard; names of sheets are relative to it. */
export function parseStoryboard(text: string, base: string): Picture[] {
  return [...text.replaceAll("\r\n", "\n").matchAll(CUE)].map(([, from, to, sheet, x, y, width, height]) => ({
    from_s: secondsOf(from!),
    to_s: secondsOf(to!),
    sheet: new URL(sheet!, base).href,
    x: Number(x),
    y: Number(y),
    width: Number(width),
    height: Number(height),
  }));
}

/** The storyboard at that address; empty until it is there, and where there is none. */
export function useStoryboard(url: string | null): Picture[] {
  const [pictures, setPictures] = useState<Picture[]>([]);
  useEffect(() => {
    setPictures([]);
    if (url === null) return undefined;
    const abort = new AbortController();
    fetch(url, { signal: abort.signal })
      .then((response) => (response.ok ? response.text() : ""))
      .then((text) => setPictures(parseStoryboard(text, url)))
      // Previews are an extra: without them the bar still seeks.
      .catch(() => undefined);
    return () => abort.abort();
  }, [url]);
  return pictures;
}
