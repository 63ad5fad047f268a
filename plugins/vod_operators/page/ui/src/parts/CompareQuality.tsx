// The renditions of two versions side by side: what they weigh, and how good they are.
import { Box, Table, Text } from "@chakra-ui/react";
import { useState } from "react";

import { bitrate, bytes } from "../format";
import { Moment } from "../player/moments";
import { measured, scoreOf, type Size, vmaf } from "../quality";
import type { Rendition, VideoResult } from "../types";
import { Card, FLUSH } from "./Card";
import { QualitySize } from "./QualitySize";

/** The renditions of pictures of both, those of one name in one row, the greatest first. */
function pairs(current: VideoResult, other: VideoResult): [name: string, one?: Rendition, two?: Rendition][] {
  const found = new Map<string, [Rendition | undefined, Rendition | undefined]>();
  [current, other].forEach(({ renditions }, side) => {
    for (const rendition of renditions) {
      if (rendition.kind !== "video") continue;
      const pair = found.get(rendition.name) ?? [undefined, undefined];
      pair[side] = rendition;
      found.set(rendition.name, pair);
    }
  });
  const rank = ([, one, two]: [string, Rendition?, Rendition?]): [number, number] => [
    (one ?? two)?.height ?? 0,
    (one ?? two)?.average_bps ?? 0,
  ];
  return [...found]
    .map(([name, [one, two]]): [string, Rendition?, Rendition?] => [name, one, two])
    .sort((first, second) => rank(second)[0] - rank(first)[0] || rank(second)[1] - rank(first)[1]);
}

const sizeOf = ({ renditions }: VideoResult): number => renditions.reduce((sum, { size_bytes }) => sum + size_bytes, 0);

export function CompareQuality({ current, other }: { current: VideoResult; other: VideoResult }) {
  const [size, setSize] = useState<Size>("native");
  const quality = measured(current.renditions) ?? measured(other.renditions);
  return (
    <Card aside={quality ? <QualitySize choose={setSize} size={size} /> : undefined} flush title="Renditions of both">
      <Table.ScrollArea aria-label="Renditions of both versions" position="relative" role="region" tabIndex={0}>
        <Table.Root css={FLUSH} fontVariantNumeric="tabular-nums" size="sm">
          <Table.Header>
            <Table.Row>
              <Table.ColumnHeader>Rendition</Table.ColumnHeader>
              {["Current", "Other"].flatMap((side) =>
                [...(quality ? ["VMAF", "worst"] : []), "average"].map((what) => (
                  <Table.ColumnHeader key={`${side} ${what}`} textAlign="end">
                    {side}: {what}
                  </Table.ColumnHeader>
                )),
              )}
            </Table.Row>
          </Table.Header>
          <Table.Body>
            {pairs(current, other).map(([name, one, two]) => (
              <Table.Row key={name}>
                <Table.Cell fontWeight="semibold">{name}</Table.Cell>
                <SideCells measured={quality !== null} rendition={one} side="current" size={size} />
                <SideCells measured={quality !== null} rendition={two} side="other" size={size} />
              </Table.Row>
            ))}
          </Table.Body>
        </Table.Root>
      </Table.ScrollArea>
      <Box px={4} py={2}>
        <Text color="fg.muted" fontSize="xs">
          With sound and subtitles, the current version has {bytes(sizeOf(current))}, the other {bytes(sizeOf(other))}.
          {quality ? " Behind the VMAF stands its 5th percentile." : ""}
        </Text>
      </Box>
    </Card>
  );
}

interface SideProps {
  rendition: Rendition | undefined;
  side: string;
  size: Size;
  measured: boolean;
}

function SideCells({ rendition, side, size, measured: withQuality }: SideProps) {
  const score = rendition ? scoreOf(rendition, size) : null;
  return (
    <>
      {withQuality ? (
        <>
          <Table.Cell textAlign="end" whiteSpace="nowrap">
            {score ? (
              <>
                <strong>{vmaf(score.mean)}</strong> · {vmaf(score.p5)}
              </>
            ) : (
              "—"
            )}
          </Table.Cell>
          <Table.Cell textAlign="end" whiteSpace="nowrap">
            {score && rendition ? (
              <>
                {vmaf(score.worst)} at{" "}
                <Moment at={score.worst_at_s} what={`the worst pictures of ${side} ${rendition.name}`} />
              </>
            ) : (
              "—"
            )}
          </Table.Cell>
        </>
      ) : null}
      <Table.Cell textAlign="end" whiteSpace="nowrap">
        {rendition ? bitrate(rendition.average_bps) : "—"}
      </Table.Cell>
    </>
  );
}
