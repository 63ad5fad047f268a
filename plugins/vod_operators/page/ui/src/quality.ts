// VMAF in words and numbers.
import type { Quality, Rendition, Score, Target } from "./types";

/** At which size the pictures were compared. */
export type Size = "native" | "at_1080p";
export const SIZES: Record<Size, string> = { native: "at their own size", at_1080p: "scaled to 1080p" };

/** What a target may be missed by. */
const NEAR = 1;

export const vmaf = (score: number): string => score.toFixed(1);

export const scoreOf = (rendition: Rendition, size: Size): Score | null => rendition.quality?.[size] ?? null;

/** What was measured of any rendition; null if nothing was. */
export const measured = (renditions: Rendition[]): Quality | null =>
  renditions.find(({ quality }) => quality)?.quality ?? null;

/** Whether a target was reached, as a badge says it. */
export function reached({ missed_by: missed, capped }: Target): { palette: string; text: string } {
  if (Math.abs(missed) <= NEAR) return { palette: "success", text: "reached" };
  if (missed > 0) return { palette: "success", text: `${vmaf(missed)} above` };
  return capped
    ? { palette: "none", text: `${vmaf(-missed)} below, at its cap` }
    : { palette: "warning", text: `missed by ${vmaf(-missed)}` };
}
