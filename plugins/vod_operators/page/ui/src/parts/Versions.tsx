import { Badge, Box, Button, Flex, HStack, Stack, Text } from "@chakra-ui/react";
import { Link as RouterLink } from "react-router-dom";

import { ago, moment } from "../format";
import { comparePath } from "../paths";
import type { Version } from "../types";
import { CompareIcon } from "./icons";
import { Poster } from "./Poster";

interface Props {
  videoId: string;
  versions: Version[];
  /** Without it, there is no button to roll back. */
  rollBack?: (version: Version) => void;
}

export function Versions({ videoId, versions, rollBack }: Props) {
  return (
    <Stack as="ul" gap={0} listStyleType="none">
      {versions.map((version) => (
        <Flex
          _notLast={{ borderBottomWidth: "1px" }}
          align="center"
          as="li"
          borderColor="border"
          gap={3}
          key={version.version}
          px={4}
          py={2.5}
          wrap={{ base: "wrap", sm: "nowrap" }}
        >
          <Box flexShrink={0} w={20}>
            <Poster poster={version.poster} videoId={videoId} />
          </Box>
          <Box flex="1" minW={0}>
            <HStack gap={2}>
              <Text fontFamily="mono" fontSize="xs" title={version.version} truncate>
                {version.version}
              </Text>
              {version.is_current ? (
                <Badge colorPalette="success" variant="subtle">
                  current
                </Badge>
              ) : null}
            </HStack>
            <Text
              color="fg.muted"
              fontSize="xs"
              title={version.published_at ? moment(version.published_at) : undefined}
            >
              {[version.preset, version.published_at ? ago(version.published_at) : null].filter(Boolean).join(" · ")}
            </Text>
          </Box>
          {version.is_current || !version.playlist ? null : (
            <HStack gap={2}>
              <Button asChild size="2xs" variant="outline">
                <RouterLink
                  aria-label={`Compare ${version.version} with the current version`}
                  to={comparePath(videoId, version.version)}
                >
                  <CompareIcon /> Compare
                </RouterLink>
              </Button>
              {rollBack ? (
                <Button
                  aria-label={`Roll back to ${version.version}`}
                  onClick={() => rollBack(version)}
                  size="2xs"
                  variant="outline"
                >
                  Roll back
                </Button>
              ) : null}
            </HStack>
          )}
        </Flex>
      ))}
    </Stack>
  );
}
