#!/usr/bin/env bash
# A real one-node Slurm cluster for tests, without systemd, database or cgroups:
#
#   one_node_slurm.sh start FOLDER    write FOLDER/slurm.conf, start munged, slurmctld and slurmd, wait until they work
#   one_node_slurm.sh stop FOLDER     kill all jobs and the three daemons
#
# Set SLURM_CONF=FOLDER/slurm.conf for every command that is to use the cluster. Nothing outside FOLDER is written;
# its path must be short (a socket's path has at most 107 characters) and without spaces.
# Exit status 77: it cannot run here, and says why.
# Debian: apt-get install --no-install-recommends slurmctld slurmd slurm-client munge
set -euo pipefail

usage="usage: one_node_slurm.sh start|stop FOLDER"
action=${1:?$usage} folder=$(realpath -m "${2:?$usage}")
seconds_to_start=30
seconds_to_stop=15
export PATH=$PATH:/usr/sbin SLURM_CONF=$folder/slurm.conf

cannot_run() { echo "one_node_slurm.sh cannot run: $*" >&2; exit 77; }
failed() { echo "one_node_slurm.sh failed: $*" >&2; exit 1; }

# until_true SECONDS COMMAND...: repeats the command until it succeeds; fails after so many seconds.
until_true() {
  local end=$((SECONDS + $1))
  while ! "${@:2}" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.2
  done
}

free_port() {
  local port
  while port=$((20000 + RANDOM % 12000)); (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
  echo "$port"
}

write_configuration() {
  local host memory
  host=$(hostname -s)
  memory=$(awk '/^MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
  cat >"$SLURM_CONF" <<CONF
ClusterName=tests
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=root

# A requeued job waits for as long as a credential lasts: 120 s by default, 5 s is the least.
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket,cred_expire=5

StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log

# No cgroups, no database: sacct fails here, as on clusters without accounting. linuxproc loses a process whose parent
# in the job has ended, so let srun start what is to be killed; pgid would not, but makes every job 3 s longer.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none

# Look for jobs to start every second; from SIGTERM to SIGKILL 2 s; show finished jobs for 10 minutes.
SchedulerParameters=sched_interval=1,batch_sched_delay=1,bf_interval=1
KillWait=2
MinJobAge=600
ReturnToService=2

# Two one-core jobs run side by side, whatever the machine has.
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 RealMemory=$memory

# A job in "urgent" preempts those in "normal": they get the signal that they asked for by --signal (without
# preempt_send_user_signal, or without --signal: SIGTERM), and are killed and requeued after GraceTime.
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
PartitionName=normal Nodes=$host Default=YES MaxTime=60 PriorityTier=1 GraceTime=10
PartitionName=urgent Nodes=$host MaxTime=60 PriorityTier=2 PreemptMode=OFF
CONF
}

start() {
  local program missing=()
  [ "$(id -u)" = 0 ] || cannot_run "it must be root"
  for program in munged slurmctld slurmd scontrol squeue scancel sinfo; do
    command -v $program >/dev/null || missing+=("$program")
  done
  [ ${#missing[@]} = 0 ] || cannot_run "missing ${missing[*]}"
  [[ ${#folder} -le 90 && $folder != *[[:space:]]* ]] || cannot_run "the path $folder is too long or has spaces"
  [ ! -e "$folder/slurmctld.pid" ] || failed "$folder already has a cluster; stop it first"

  mkdir -p "$folder/state" "$folder/spool"
  write_configuration
  (umask 077; head -c 128 /dev/urandom >"$folder/munge.key")
  # --force: munged would refuse a folder that only root can enter.
  munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
    --log-file="$folder/munged.log" --seed-file="$folder/munge.seed" 2>>"$folder/munged.log" ||
    give_up "munged does not start, see $folder/munged.log"
  slurmctld || give_up "slurmctld does not start, see $folder/slurmctld.log"
  slurmd || give_up "slurmd does not start, see $folder/slurmd.log"
  until_true $seconds_to_start node_is_idle ||
    give_up "the node is not idle after $seconds_to_start s, see $folder/slurmctld.log and $folder/slurmd.log"
}

give_up() { stop; failed "$@"; }
node_is_idle() { sinfo --noheader --format=%T | grep -qx idle; }
no_jobs() { [ -z "$(squeue --noheader 2>/dev/null)" ]; }

# runs DAEMON PID. A zombie does not run: a container's first process may not wait for the daemons that end.
runs() { grep -q "^Name:.$1\$" "/proc/$2/status" && grep -q '^State:.[^Z]' "/proc/$2/status"; } 2>/dev/null
ended() { ! runs "$@"; }

stop() {
  local daemon pid
  for daemon in slurmctld slurmd munged; do
    pid=$(cat "$folder/$daemon.pid" 2>/dev/null) && runs $daemon "$pid" || continue
    if [ $daemon = slurmctld ]; then
      # Jobs outlive the daemons: kill them first. Pending ones before running ones, or they would start.
      scancel --state=PENDING --user=root || true
      scancel --full --signal=KILL --user=root || true
      scancel --user=root || true
      until_true $seconds_to_stop no_jobs || echo "one_node_slurm.sh: jobs still run, see squeue" >&2
    fi
    kill "$pid"
    until_true $seconds_to_stop ended $daemon "$pid" || kill -9 "$pid"
  done
  rm -f "$folder"/{slurmctld,slurmd,munged}.pid
}

case $action in
  start) start ;;
  stop) stop ;;
  *) echo "$usage" >&2; exit 2 ;;
esac
