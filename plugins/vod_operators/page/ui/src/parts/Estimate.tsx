import { Stack, Text } from "@chakra-ui/react";

import { readWork, type StartedRun } from "../api";
import { bytes, count, money, span } from "../format";
import { usePoll } from "../poll";
import type { Range, RunEstimate } from "../types";
import { isAtWork } from "../views/Work";
import { Card } from "./Card";
import { Facts } from "./Facts";
import { Notice, Problem } from "./Notice";

/** What a video will take: by a run that only estimates, followed to its end. */
export function Estimate({ run, preset }: { run: StartedRun; preset: string }) {
  const { dag_id: dagId, dag_run_id: runId } = run;
  const work = usePoll(
    `work/${dagId}/${runId}`,
    (signal) => readWork(dagId, runId, signal),
    (data) => (data === null || isAtWork(data.state) ? 1 : 3600),
  );
  if (work.error) return <Problem error={work.error} retry={work.reload} />;
  if (work.data === null || isAtWork(work.data.state)) {
    return (
      <Notice title="Estimating" tone="info">
        {work.data?.waits_for ? `It waits for ${work.data.waits_for}.` : "The source is looked at."}
      </Notice>
    );
  }
  const { estimate, reason } = work.data;
  if (work.data.state === "failed" || estimate === null) {
    return (
      <Notice title="It cannot be estimated" tone="error">
        {reason}
      </Notice>
    );
  }
  return (
    <Card title={`Estimate for ${preset}`}>
      <Amounts estimate={estimate} />
    </Card>
  );
}

const ranged = ({ low, likely, high }: Range, shown: (value: number) => string): string =>
  `about ${shown(likely)} (${shown(low)} to ${shown(high)})`;

function Amounts({ estimate }: { estimate: RunEstimate }) {
  const { compute = null, storage_month: storage = null } = estimate.money ?? {};
  return (
    <Stack gap={3}>
      <Facts
        facts={[
          ["Time", ranged(estimate.wall_s, span)],
          ["CPU time", ranged(estimate.cpu_s, span)],
          ["Size", ranged(estimate.bytes_out, bytes)],
          ["Encoding costs", compute ? ranged(compute, money) : null],
          ["Storage costs", storage ? `${ranged(storage, money)} a month` : null],
        ]}
      />
      <Text color="fg.muted" fontSize="xs">
        {estimate.runs
          ? `By ${count(estimate.runs, "earlier run")} here, if no other video competes for the workers.`
          : "No video was made with this preset here before, so the ranges are wide."}
      </Text>
    </Stack>
  );
}
