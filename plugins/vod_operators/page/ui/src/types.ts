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
  presets: { name: string; title: string; text: string; aims: string[] }[];
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

export interface Chapter {
  start_s: number;
  end_s: number;
  title: string | null;
}

/** A file for people to keep. */
export interface Download {
  names: string[];
  /** Below the video's media. */
  uri: string;
  kind: "video" | "audio";
  renditions: string[];
  size_bytes: number;
}

export interface Rendition {
  name: string;
  kind: "video" | "audio" | "text";
  codecs: string;
  width: number | null;
  height: number | null;
  frame_rate: string | null;
  video_range?: "SDR" | "PQ" | "HLG" | null;
  channels: number | null;
  /** Complexity index of the objects of Dolby Atmos; 0 or absent: there are none. */
  joc?: number;
  /** Whether it has the source's own frames. */
  copied?: boolean;
  language: string | null;
  title: string | null;
  size_bytes: number;
  average_bps: number;
  peak_bps: number;
  segments: number;
  quality?: Quality | null;
}

/** VMAF over the measured windows. */
export interface Score {
  mean: number;
  p5: number;
  worst: number;
  worst_at_s: number;
}

export interface Quality {
  model: string;
  /** Compared at the rendition's own size; null: it is too small for the model. */
  native: Score | null;
  /** Both scaled to 1080p, as on a screen of that size. */
  at_1080p: Score | null;
  /** Seconds of the video that were compared. */
  measured_s: number;
  target?: Target | null;
}

/** The VMAF that was asked for; `missed_by` is the measured one minus it. */
export interface Target {
  vmaf: number;
  crf: number;
  first_crf: number | null;
  missed_by: number;
  capped: boolean;
}

export interface Stretch {
  start_s: number;
  end_s: number;
}

/** What was found in the source; null: it was not looked for. */
export interface SourceReport {
  black: (Stretch & { faded: boolean })[] | null;
  frozen: Stretch[] | null;
  /** Whether pictures stand still so often, as in slides, that none is called frozen. */
  stills_are_usual: boolean;
  flashes: Stretch[] | null;
  silent: (Stretch & { track: string })[] | null;
  clipped: (Stretch & { track: string; samples: number })[] | null;
  bars: { left: number; top: number; right: number; bottom: number } | null;
  loudness: { track: string; integrated_lufs: number; true_peak_dbtp: number; range_lu: number }[] | null;
  /** Kind -> how many more there are than those listed. */
  left_out: Record<string, number>;
}

export interface Range {
  low: number;
  likely: number;
  high: number;
}

export interface Cost {
  cpu_s: Record<string, number>;
  wall_s: number | null;
  bytes_out: number;
  money: { compute: number | null; storage_month: number | null } | null;
  estimated: { wall_s: Range; cpu_s: Range; bytes_out: Range } | null;
}

/** The parts of video.json that the page shows. Documents of earlier releases lack what is optional. */
export interface VideoResult {
  version: string;
  preset: string;
  duration_s: number;
  frames: number;
  frame_rate: string | null;
  chunks: number;
  chapters: Chapter[];
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
  warnings?: string[];
  downloads?: Download[];
  encryption?: { scheme: string; systems: string[]; keys: Record<string, string[]>; rotation_segments?: number } | null;
  ladder?: { by_title: boolean; left_out: { name: string; why: string }[] } | null;
  source_report?: SourceReport | null;
  cost?: Cost | null;
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

export interface RunEstimate {
  words: string;
  wall_s: Range;
  cpu_s: Range;
  bytes_out: Range;
  money: { compute: Range | null; storage_month: Range | null } | null;
  runs: number;
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
  estimate: RunEstimate | null;
  cpu_s: number | null;
  steps: Step[];
  chunks: Chunk[];
}
