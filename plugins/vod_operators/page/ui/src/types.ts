// What the page's API answers (docs/page-api.json). Times are ISO 8601; null is "not known".

export type VideoState = "queued" | "encoding" | "published" | "failed";

/** A param of the DAG, as JSON schema. */
export interface FieldSchema {
  type?: string | string[];
  title?: string;
  description?: string;
  default?: unknown;
  enum?: unknown[];
  pattern?: string;
  minimum?: number;
  maximum?: number;
  maxLength?: number;
}

export interface Me {
  can_act: boolean;
  uploads: boolean;
  edges: string[];
  presets: { name: string; text: string }[];
  form: Record<string, FieldSchema>;
}

export interface Row {
  video_id: string;
  title: string | null;
  state: VideoState;
  percent: number | null;
  reason: string | null;
  duration_s: number | null;
  preset: string | null;
  updated_at: string | null;
  by: string | null;
  poster: string | null;
  version: string | null;
  dag_id: string | null;
  run_id: string | null;
}

export interface VideoList {
  videos: Row[];
  total: number;
  counts: Record<VideoState, number>;
  presets: string[];
}

export interface Rendition {
  name: string;
  kind: "video" | "audio" | "text";
  codecs: string;
  width: number | null;
  height: number | null;
  frame_rate: string | null;
  channels: number | null;
  language: string | null;
  title: string | null;
  size_bytes: number;
  average_bps: number;
  peak_bps: number;
  segments: number;
}

/** The parts of video.json that the page shows. */
export interface VideoResult {
  version: string;
  preset: string;
  duration_s: number;
  frames: number;
  frame_rate: string | null;
  chunks: number;
  chapters: { start_s: number; end_s: number; title: string | null }[];
  source: {
    name: string;
    container: string;
    size_bytes: number;
    duration_s: number | null;
    bitrate_bps: number | null;
    video_codec: string | null;
    width: number | null;
    height: number | null;
    frame_rate: string | null;
    audio_tracks: number;
    text_tracks: number;
  };
  renditions: Rendition[];
  timings: { started_at: string | null; published_at: string; wall_s: number | null; encode_s: number };
  made_by: Record<string, string>;
}

export interface Version {
  version: string;
  preset: string | null;
  published_at: string | null;
  is_current: boolean;
  playlist: string | null;
  poster: string | null;
}

export interface Run {
  dag_id: string;
  run_id: string;
  state: string;
  begun_at: string | null;
  ended_at: string | null;
  by: string | null;
  preset: string | null;
  note: string | null;
}

export interface Video extends Row {
  result: VideoResult | null;
  playlist: string | null;
  manifest: string | null;
  storyboard: string | null;
  urls: { place: string; hls: string; dash: string | null }[];
  embed: string | null;
  versions: Version[];
  runs: Run[];
  remarks: string[];
  check: { rules: number; warnings: string[] } | null;
  request: Record<string, unknown> | null;
}

export interface Bitrates {
  renditions: {
    name: string;
    kind: string;
    cap_bps: number | null;
    average_bps: number;
    peak_bps: number;
    segments: [at_s: number, duration_s: number, bps: number][];
  }[];
}

export type ChunkState = "queued" | "running" | "done" | "retried" | "failed";

export interface Chunk {
  index: number;
  label: string;
  state: ChunkState;
  percent: number | null;
  host: string | null;
  tries: number;
  wall_s: number | null;
}

export type StepState = "waiting" | "queued" | "running" | "retrying" | "done" | "skipped" | "failed";

export interface Step {
  step: string;
  state: StepState;
  begun_at: string | null;
  ended_at: string | null;
  wall_s: number | null;
  tries: number;
}

export interface Work {
  video_id: string | null;
  state: string;
  percent: number | null;
  begun_at: string | null;
  ended_at: string | null;
  eta_s: number | null;
  eta_error_s: number | null;
  waits_for: string | null;
  reason: string | null;
  cpu_s: number | null;
  steps: Step[];
  chunks: Chunk[];
}
