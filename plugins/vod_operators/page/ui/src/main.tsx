// What Airflow's UI imports: the page "Videos", which is also the tab of runs and tasks.
import { Box, Center, Spinner } from "@chakra-ui/react";
import { useEffect, useState } from "react";
import { Route, Routes, useLocation, useNavigate } from "react-router-dom";

import { readMe } from "./api";
import { MeContext } from "./me";
import { Problem } from "./parts/Notice";
import { NEW } from "./paths";
import { usePoll } from "./poll";
import { CompareView } from "./views/Compare";
import { ListView } from "./views/List";
import { NewVideoView } from "./views/NewVideo";
import { VideoView } from "./views/Video";
import { TabView } from "./views/Tab";

interface Place {
  dagId?: string;
  runId?: string;
  taskId?: string;
  mapIndex?: string;
}

/** Whether Airflow has put the component where it stays. */
let settled = false;

/**
 * The first time, Airflow renders the page inside of what loads it, and without that whenever its router moves next:
 * React then mounts the page anew, and a search loses its focus. So the router is moved at once.
 */
function Entrance(place: Place) {
  const navigate = useNavigate();
  const { pathname, search, hash, state } = useLocation();
  const [waiting, setWaiting] = useState(!settled);
  useEffect(() => {
    if (settled) return undefined;
    settled = true;
    void navigate({ pathname, search, hash }, { replace: true, state });
    // Where Airflow mounts nothing anew.
    const timer = setTimeout(() => setWaiting(false), 500);
    return () => clearTimeout(timer);
  }, []);
  return waiting ? <Loading /> : <Videos {...place} />;
}

const Loading = () => (
  <Center minH={40}>
    <Spinner aria-label="Loading" />
  </Center>
);

function Videos({ dagId, runId, taskId, mapIndex }: Place) {
  const me = usePoll("me", readMe, (data) => (data ? 300 : 15));
  const isTab = dagId !== undefined && runId !== undefined;
  if (me.data === null) {
    return <Box p={{ base: 2, md: 4 }}>{me.error ? <Problem error={me.error} retry={me.reload} /> : <Loading />}</Box>;
  }
  return (
    <MeContext.Provider value={me.data}>
      <Box
        as={isTab ? "div" : "main"}
        h="full"
        overflowX="hidden"
        overflowY="auto"
        p={{ base: 2, md: 4 }}
        tabIndex={-1}
        w="full"
      >
        {isTab ? (
          <TabView dagId={dagId} mapIndex={mapIndex} runId={runId} taskId={taskId} />
        ) : (
          <Routes>
            <Route element={<ListView />} index />
            <Route element={<NewVideoView />} path={NEW} />
            <Route element={<VideoView />} path=":videoId" />
            <Route element={<CompareView />} path=":videoId/compare/:version" />
            <Route element={<ListView />} path="*" />
          </Routes>
        )}
      </Box>
    </MeContext.Provider>
  );
}

// Airflow looks for a component under the names of its react apps, the page and the tabs: see plugin.py.
Object.assign(globalThis, { Videos: Entrance, Video: Entrance });
