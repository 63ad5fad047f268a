import { Badge, Box, HStack, RadioCard, SimpleGrid, Text } from "@chakra-ui/react";

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
        {presets.map(({ name, title, text, aims }) => (
          <RadioCard.Item key={name} value={name}>
            <RadioCard.ItemHiddenInput />
            <RadioCard.ItemControl>
              <Box flex="1" minW={0}>
                <HStack columnGap={2} rowGap={0} wrap="wrap">
                  <RadioCard.ItemText flex="none" fontFamily="mono">
                    {name}
                  </RadioCard.ItemText>
                  <Text color="fg.muted" fontSize="xs">
                    {title}
                  </Text>
                </HStack>
                <RadioCard.ItemDescription color="fg.muted" fontSize="xs" opacity={1}>
                  {text}
                </RadioCard.ItemDescription>
                {aims.length ? (
                  <HStack gap={1} mt={1} wrap="wrap">
                    {aims.map((aim) => (
                      <Badge colorPalette="brand" key={aim} size="xs" variant="subtle">
                        {aim}
                      </Badge>
                    ))}
                  </HStack>
                ) : null}
              </Box>
              <RadioCard.ItemIndicator />
            </RadioCard.ItemControl>
          </RadioCard.Item>
        ))}
      </SimpleGrid>
    </RadioCard.Root>
  );
}
