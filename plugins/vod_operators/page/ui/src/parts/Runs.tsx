import { Link, Table, Text } from "@chakra-ui/react";
import { Link as RouterLink } from "react-router-dom";

import { ago, moment, span } from "../format";
import { runPath } from "../paths";
import type { Run } from "../types";
import { FLUSH } from "./Card";
import { RunBadge } from "./StateBadge";

const length = ({ begun_at: begun, ended_at: ended }: Run): string =>
  begun && ended ? span((Date.parse(ended) - Date.parse(begun)) / 1000) : "—";

/** The runs of a video, each one click from Airflow's page of it. */
export function Runs({ runs }: { runs: Run[] }) {
  return (
    <Table.ScrollArea position="relative">
      <Table.Root css={FLUSH} size="sm">
        <Table.Header>
          <Table.Row>
            {["Run", "State", "Preset", "Begun", "Took", "By"].map((name) => (
              <Table.ColumnHeader key={name}>{name}</Table.ColumnHeader>
            ))}
          </Table.Row>
        </Table.Header>
        <Table.Body>
          {runs.map((run) => (
            <Table.Row key={`${run.dag_id}/${run.run_id}`}>
              <Table.Cell maxW={80}>
                <Link asChild display="block" fontSize="sm" truncate>
                  <RouterLink title={run.run_id} to={runPath(run.dag_id, run.run_id)}>
                    {run.run_id}
                  </RouterLink>
                </Link>
                {run.note ? (
                  <Text color="fg.muted" fontSize="xs" lineClamp={2}>
                    {run.note}
                  </Text>
                ) : null}
              </Table.Cell>
              <Table.Cell>
                <RunBadge state={run.state} />
              </Table.Cell>
              <Table.Cell whiteSpace="nowrap">{run.preset ?? "—"}</Table.Cell>
              <Table.Cell title={run.begun_at ? moment(run.begun_at) : undefined} whiteSpace="nowrap">
                {run.begun_at ? ago(run.begun_at) : "—"}
              </Table.Cell>
              <Table.Cell fontVariantNumeric="tabular-nums" whiteSpace="nowrap">
                {length(run)}
              </Table.Cell>
              <Table.Cell whiteSpace="nowrap">{run.by ?? "—"}</Table.Cell>
            </Table.Row>
          ))}
        </Table.Body>
      </Table.Root>
    </Table.ScrollArea>
  );
}
