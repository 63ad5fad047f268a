// Where things are in Airflow's router.

const part = encodeURIComponent;

export const PAGE = "/plugin/videos";
/** No id of a video has a plus sign. */
export const NEW = "+new";
export const newVideoPath = `${PAGE}/${NEW}`;
export const videoPath = (videoId: string): string => `${PAGE}/${part(videoId)}`;
export const comparePath = (videoId: string, version: string): string =>
  `${videoPath(videoId)}/compare/${part(version)}`;
export const runPath = (dagId: string, runId: string): string => `/dags/${part(dagId)}/runs/${part(runId)}`;
/** A task of a run: Airflow opens its log. */
export const taskPath = (dagId: string, runId: string, taskId: string): string =>
  `${runPath(dagId, runId)}/tasks/${part(taskId)}`;
export const chunkPath = (dagId: string, runId: string, taskId: string, index: number): string =>
  `${taskPath(dagId, runId, taskId)}/mapped/${index}`;
