import { HStack, NativeSelect, Text } from "@chakra-ui/react";

import { type Size, SIZES } from "../quality";

/** Chooses at which size the quality is shown that stands around it. */
export function QualitySize({ size, choose }: { size: Size; choose: (size: Size) => void }) {
  return (
    <HStack as="label" color="fg.muted" fontSize="xs" gap={2}>
      <Text whiteSpace="nowrap">VMAF of pictures</Text>
      <NativeSelect.Root size="xs" w="auto">
        <NativeSelect.Field color="fg" onChange={(event) => choose(event.target.value as Size)} value={size}>
          {Object.entries(SIZES).map(([value, name]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </NativeSelect.Field>
        <NativeSelect.Indicator />
      </NativeSelect.Root>
    </HStack>
  );
}
