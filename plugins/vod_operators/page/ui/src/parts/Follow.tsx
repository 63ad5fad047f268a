import { Button } from "@chakra-ui/react";
import { useEffect, useRef } from "react";
import { Link as RouterLink } from "react-router-dom";

import { readRun, type StartedRun } from "../api";
import { runPath } from "../paths";
import { usePoll } from "../poll";
import { Notice } from "./Notice";

export interface Errand {
  /** What is done, as a noun: "Verification". */
  what: string;
  run: StartedRun;
}

const ENDED = new Set(["success", "failed"]);

/** A run that was started here, followed to its end. */
export function Follow({ errand, ended }: { errand: Errand; ended: (succeeded: boolean) => void }) {
  const { dag_id: dagId, dag_run_id: runId } = errand.run;
  const { data: run } = usePoll(
    `run/${dagId}/${runId}`,
    (signal) => readRun(dagId, runId, signal),
    (data) => (data !== null && ENDED.has(data.state) ? 3600 : 1.5),
  );
  const state = run?.state ?? null;
  const latest = useRef(ended);
  latest.current = ended;
  useEffect(() => {
    if (state !== null && ENDED.has(state)) latest.current(state === "success");
  }, [state]);

  const words = state === "success" ? "is done" : state === "failed" ? "failed" : "is at work";
  return (
    <Notice
      action={
        <Button asChild size="xs" variant="outline">
          <RouterLink to={runPath(dagId, runId)}>Airflow run</RouterLink>
        </Button>
      }
      title={`${errand.what} ${words}`}
      tone={state === "success" ? "success" : state === "failed" ? "error" : "info"}
    >
      {run?.note ?? (state === "failed" ? "The first failed task of the run says why." : null)}
    </Notice>
  );
}
