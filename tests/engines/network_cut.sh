#!/usr/bin/env bash
# The network to one of two dask workers is cut in mid-run: all results. Needs root, `ip` and distributed.
# bash tests/engines/network_cut.sh python
set -e
cd "$(dirname "$0")/../.."
python=${1:-python}
export PYTHONPATH=$PWD/src:$PWD/tests DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP=15s
S= W1= W2=
clear_away() { # whatever has ended it
    kill -9 $S $W1 $W2 2>/dev/null
    ip link del tmv0
    ip netns del tmcut
} 2>/dev/null
trap clear_away EXIT
ip netns add tmcut; ip link add tmv0 type veth peer name tmv1; ip link set tmv1 netns tmcut
ip addr add 10.231.0.1/24 dev tmv0; ip link set tmv0 up
ip netns exec tmcut ip addr add 10.231.0.2/24 dev tmv1; ip netns exec tmcut ip link set tmv1 up; ip netns exec tmcut ip link set lo up
"$python" -m dask scheduler --host 10.231.0.1 --port 8901 --no-dashboard >/dev/null 2>&1 & S=$!
sleep 2
"$python" -m dask worker tcp://10.231.0.1:8901 --nthreads 1 --no-dashboard --no-nanny >/dev/null 2>&1 & W1=$!
ip netns exec tmcut "$python" -m dask worker tcp://10.231.0.1:8901 --nthreads 1 --no-dashboard --no-nanny >/dev/null 2>&1 & W2=$!
sleep 4
timeout 80 "$python" - <<'PY' || true
import time, subprocess, os
import functions as f
from task_manager import TaskManager
from collections import Counter
class Cuts(TaskManager):
    cut = False
    def process_result(self, task, result):
        if task[0] > 150 and not self.cut:
            self.cut = True
            subprocess.run(["ip","link","set","tmv0","down"]); print("cut", time.perf_counter()-t)
        return result
t=time.perf_counter()
with Cuts(f.worker_after_a_nap, "dask", address="tcp://10.231.0.1:8901", logger=None) as m:
    s=m.start([(n,0.01) for n in range(600)]); print(s, time.perf_counter()-t)
    print(Counter(r[0] for r in m.get_result_dict().values()))
PY
