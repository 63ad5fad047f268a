import { Badge } from "@chakra-ui/react";

import { percent } from "../format";
import type { VideoState } from "../types";

/** Airflow's own colours of states. */
export const PALETTE: Record<VideoState, string> = {
  queued: "queued",
  encoding: "running",
  published: "success",
  failed: "failed",
};

export const STATE_NAMES: Record<VideoState, string> = {
  queued: "Queued",
  encoding: "Encoding",
  published: "Published",
  failed: "Failed",
};

/** The state in a word, with what is done of an encoding. */
export function StateBadge({ state, done }: { state: VideoState; done: number | null }) {
  return (
    <Badge colorPalette={PALETTE[state]} flexShrink={0} fontVariantNumeric="tabular-nums" variant="subtle">
      {STATE_NAMES[state]}
      {state === "encoding" && done !== null ? ` ${percent(done)}` : ""}
    </Badge>
  );
}

const RUN_PALETTES = new Set(["success", "failed", "running", "queued"]);

/** The state of an Airflow run. */
export function RunBadge({ state }: { state: string }) {
  return (
    <Badge colorPalette={RUN_PALETTES.has(state) ? state : "none"} variant="subtle">
      {state.replaceAll("_", " ")}
    </Badge>
  );
}
