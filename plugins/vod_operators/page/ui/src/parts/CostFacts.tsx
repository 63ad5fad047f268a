// What a version cost, by step, and what had been estimated.
import { Box, Grid, Stack, Table, Text, VisuallyHidden } from "@chakra-ui/react";

import { bytes, span } from "../format";
import type { Cost, Range } from "../types";

const rounded = (value: number): string => value.toLocaleString("en", { maximumSignificantDigits: 3 });

export function CostFacts({ cost }: { cost: Cost }) {
  const steps = Object.entries(cost.cpu_s).filter(([, seconds]) => seconds > 0);
  const all = steps.reduce((sum, [, seconds]) => sum + seconds, 0);
  const most = Math.max(...steps.map(([, seconds]) => seconds), 0.001);
  const { estimated, money } = cost;
  const rows: [name: string, range: Range | undefined, came: number | null, shown: (value: number) => string][] = [
    ["Time", estimated?.wall_s, cost.wall_s, span],
    ["CPU time", estimated?.cpu_s, all, span],
    ["Size", estimated?.bytes_out, cost.bytes_out, bytes],
  ];
  return (
    <Stack fontSize="sm" gap={4}>
      <Stack as="ul" gap={1} listStyleType="none">
        {steps.map(([step, seconds]) => (
          <Grid alignItems="center" as="li" columnGap={3} key={step} templateColumns="5.5rem minmax(0, 1fr) 5.5rem">
            <span>{step}</span>
            <Box bg="bg.muted" borderRadius="sm" h={2.5}>
              <Box bg="brand.solid" borderRadius="sm" h="full" style={{ width: `${(seconds / most) * 100}%` }} />
            </Box>
            <Text color="fg.muted" fontSize="xs" fontVariantNumeric="tabular-nums" textAlign="right">
              {span(seconds)} CPU
            </Text>
          </Grid>
        ))}
      </Stack>
      <Table.Root fontVariantNumeric="tabular-nums" size="sm">
        <Table.Header>
          <Table.Row>
            <Table.ColumnHeader px={0}>
              <VisuallyHidden>What</VisuallyHidden>
            </Table.ColumnHeader>
            <Table.ColumnHeader textAlign="end">Came to</Table.ColumnHeader>
            {estimated ? <Table.ColumnHeader textAlign="end">Estimated</Table.ColumnHeader> : null}
          </Table.Row>
        </Table.Header>
        <Table.Body>
          {rows.map(([name, range, came, shown]) => (
            <Table.Row key={name}>
              <Table.Cell px={0} verticalAlign="top">
                {name}
              </Table.Cell>
              <Table.Cell textAlign="end" verticalAlign="top" whiteSpace="nowrap">
                {came === null ? "—" : shown(came)}
              </Table.Cell>
              {estimated ? (
                <Table.Cell textAlign="end">
                  {range ? <Estimated came={came} range={range} shown={shown} /> : "—"}
                </Table.Cell>
              ) : null}
            </Table.Row>
          ))}
          {money ? (
            <Table.Row>
              <Table.Cell px={0} verticalAlign="top">
                Money
              </Table.Cell>
              <Table.Cell colSpan={estimated ? 2 : 1} textAlign="end">
                {[
                  money.compute === null ? null : `${rounded(money.compute)} for encoding`,
                  money.storage_month === null ? null : `${rounded(money.storage_month)} a month for storage`,
                ]
                  .filter(Boolean)
                  .join(", ")}
              </Table.Cell>
            </Table.Row>
          ) : null}
        </Table.Body>
      </Table.Root>
    </Stack>
  );
}

function Estimated({ range, came, shown }: { range: Range; came: number | null; shown: (value: number) => string }) {
  const off = came === null || !range.likely ? null : Math.round((came / range.likely - 1) * 100);
  return (
    <>
      {shown(range.likely)}
      {off === null ? "" : ` (${off === 0 ? "exact" : `${off > 0 ? "+" : "−"}${Math.abs(off)} %`})`}
      <Text color="fg.muted" fontSize="xs">
        {shown(range.low)} to {shown(range.high)}
      </Text>
    </>
  );
}
