import { Box, Button, chakra, Flex, Heading, SimpleGrid, Stack, Text } from "@chakra-ui/react";
import { type FormEvent, useState } from "react";
import { Link as RouterLink, useNavigate } from "react-router-dom";

import { encode, estimate, type StartedRun } from "../api";
import { useAttempt } from "../attempt";
import { useMe } from "../me";
import { Card } from "../parts/Card";
import { Estimate } from "../parts/Estimate";
import { type Draft, draftOf, faultOf, FormField, valueOf } from "../parts/FormField";
import { Notice } from "../parts/Notice";
import { PresetChoice } from "../parts/PresetChoice";
import { UploadField } from "../parts/UploadField";
import { PAGE, videoPath } from "../paths";
import { useTitle } from "../title";
import type { FieldSchema } from "../types";
import { Crumbs } from "./Video";

const NEEDED = new Set(["video_id", "source", "preset"]);
/** The param that makes a run only estimate; it has a button of its own. */
const ESTIMATE = "estimate";
/** What everybody fills in; the rest is folded. */
const FIRST = ["source", "video_id"];

/** A name for the video from its file: letters, digits, _ and -. */
const idFrom = (source: string): string =>
  (source.split(/[?#]/)[0]!.split("/").at(-1) ?? "")
    .replace(/\.[^.]*$/, "")
    .normalize("NFKD")
    .replace(/[^A-Za-z0-9_-]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 128);

export function NewVideoView() {
  const me = useMe();
  useTitle("New video – Videos");
  return (
    <Stack gap={4} maxW="4xl" mx="auto">
      <Crumbs here="New video" />
      <Heading as="h1" size="xl">
        New video
      </Heading>
      {me.can_act ? (
        <Form schemas={me.form} />
      ) : (
        <Notice title="Airflow does not let you trigger the DAG vod_transcode." tone="warning" />
      )}
    </Stack>
  );
}

interface Estimated {
  run: StartedRun;
  preset: string;
}

function Form({ schemas: { [ESTIMATE]: estimated, ...schemas } }: { schemas: Record<string, FieldSchema> }) {
  const me = useMe();
  const navigate = useNavigate();
  const [drafts, setDrafts] = useState<Record<string, Draft>>(() =>
    Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, draftOf(schema)])),
  );
  const [named, setNamed] = useState(false);
  const [checked, setChecked] = useState(false);
  const [uploading, setUploading] = useState(false);
  const { busy, error, run } = useAttempt();
  const estimating = useAttempt();
  const [estimateRun, setEstimateRun] = useState<Estimated | null>(null);

  const set = (name: string, draft: Draft): void => {
    setEstimateRun(null);
    setDrafts((old) => {
      const next = { ...old, [name]: draft };
      // Until it is named by hand, the video is named by its file.
      if (name === "source" && !named) next.video_id = idFrom(String(draft));
      return next;
    });
  };
  const faults = Object.fromEntries(
    Object.entries(schemas).map(([name, schema]) => [name, faultOf(schema, drafts[name] ?? "", NEEDED.has(name))]),
  );
  const field = (name: string) => {
    const schema = schemas[name];
    if (schema === undefined) return null;
    return (
      <FormField
        draft={drafts[name] ?? ""}
        fault={checked ? (faults[name] ?? null) : null}
        key={name}
        name={name}
        onChange={(draft) => {
          if (name === "video_id") setNamed(draft !== "");
          set(name, draft);
        }}
        required={NEEDED.has(name)}
        schema={schema}
      />
    );
  };
  /** What was filled in; null, with the first faulty field in focus, if it cannot be sent. */
  const confOf = (form: HTMLFormElement): Record<string, unknown> | null => {
    setChecked(true);
    const faulty = [...FIRST, ...Object.keys(schemas)].find((name) => faults[name]);
    if (faulty !== undefined) {
      const input = form.elements.namedItem(faulty);
      if (input instanceof HTMLElement) {
        input.closest("details")?.setAttribute("open", "");
        input.focus();
      }
      return null;
    }
    return Object.fromEntries(
      Object.entries(schemas)
        .map(([name, schema]) => [name, valueOf(schema, drafts[name] ?? "")] as const)
        .filter(([, value]) => value !== undefined),
    );
  };
  const submit = async (event: FormEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const conf = confOf(event.currentTarget);
    if (conf && (await run(() => encode(conf)))) navigate(videoPath(String(conf.video_id)));
  };
  const ask = async (form: HTMLFormElement): Promise<void> => {
    const conf = confOf(form);
    if (!conf) return;
    const preset = String(conf.preset);
    await estimating.run(async () => setEstimateRun({ run: await estimate(conf), preset }));
  };
  const others = Object.keys(schemas).filter((name) => !FIRST.includes(name) && name !== "preset");

  return (
    <form noValidate onSubmit={(event) => void submit(event)}>
      <Stack gap={4}>
        <Card title="What">
          <Stack gap={5}>
            {me.uploads ? <UploadField busy={setUploading} uploaded={(uri) => set("source", uri)} /> : null}
            {FIRST.map(field)}
          </Stack>
        </Card>
        <Card title="How">
          <PresetChoice
            label={schemas.preset?.description ?? "Preset"}
            onChange={(preset) => set("preset", preset)}
            presets={me.presets}
            value={String(drafts.preset ?? "")}
          />
        </Card>
        <chakra.details bg="bg" borderRadius="md" borderWidth="1px">
          <chakra.summary
            _focusVisible={{ outline: "2px solid", outlineColor: "brand.focusRing" }}
            cursor="pointer"
            fontSize="sm"
            fontWeight="semibold"
            px={4}
            py={2.5}
          >
            More options
          </chakra.summary>
          <Box borderTopWidth="1px" p={4}>
            <SimpleGrid columns={{ base: 1, md: 2 }} gap={5}>
              {others.map(field)}
            </SimpleGrid>
          </Box>
        </chakra.details>
        {error ? <Notice title={error} tone="error" /> : null}
        {estimating.error ? <Notice title={estimating.error} tone="error" /> : null}
        {estimateRun ? <Estimate {...estimateRun} key={estimateRun.run.dag_run_id} /> : null}
        <Flex align="center" gap={3} justify="flex-end" wrap="wrap">
          {uploading ? (
            <Text color="fg.muted" fontSize="sm">
              The upload is still at work.
            </Text>
          ) : null}
          <Button asChild variant="outline">
            <RouterLink to={PAGE}>Back</RouterLink>
          </Button>
          {estimated ? (
            <Button
              disabled={uploading}
              loading={estimating.busy}
              onClick={(event) => void ask(event.currentTarget.form!)}
              variant="outline"
            >
              Estimate
            </Button>
          ) : null}
          <Button disabled={uploading} loading={busy} type="submit">
            Encode
          </Button>
        </Flex>
      </Stack>
    </form>
  );
}
