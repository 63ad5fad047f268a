import { Box, RadioCard, SimpleGrid } from "@chakra-ui/react";

import type { Me } from "../types";

interface Props {
  presets: Me["presets"];
  value: string;
  onChange: (preset: string) => void;
  label: string;
  columns?: number;
}

/** The presets as cards, each with what it makes. */
export function PresetChoice({ presets, value, onChange, label, columns = 2 }: Props) {
  return (
    <RadioCard.Root
      colorPalette="brand"
      onValueChange={(details) => onChange(details.value ?? value)}
      size="sm"
      value={value}
    >
      <RadioCard.Label fontWeight="medium">{label}</RadioCard.Label>
      <SimpleGrid columns={{ base: 1, md: columns }} gap={2}>
        {presets.map(({ name, text }) => (
          <RadioCard.Item key={name} value={name}>
            <RadioCard.ItemHiddenInput />
            <RadioCard.ItemControl>
              <Box flex="1" minW={0}>
                <RadioCard.ItemText fontFamily="mono">{name}</RadioCard.ItemText>
                <RadioCard.ItemDescription color="fg.muted" fontSize="xs" opacity={1}>
                  {text}
                </RadioCard.ItemDescription>
              </Box>
              <RadioCard.ItemIndicator />
            </RadioCard.ItemControl>
          </RadioCard.Item>
        ))}
      </SimpleGrid>
    </RadioCard.Root>
  );
}
