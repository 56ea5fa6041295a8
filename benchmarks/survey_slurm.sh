#!/bin/bash
# A SLURM of one node and two cores on this machine, for trying Isolux with it. As root, on Debian or Ubuntu:
#   apt-get install slurm-wlm munge
#   bash benchmarks/survey_slurm.sh up|down
# Jobs are followed by process group (no cgroups), so that it works in a container too.
set -euo pipefail
PLACE=${PLACE:-/var/tmp/isolux-slurm}
export SLURM_CONF=$PLACE/slurm.conf

up() {
  mkdir -p "$PLACE/state" "$PLACE/spool" /run/munge
  chown munge: /run/munge && chmod 755 /run/munge
  [ -f /etc/munge/munge.key ] || runuser -u munge -- /usr/sbin/mungekey
  pgrep -x munged > /dev/null || runuser -u munge -- /usr/sbin/munged
  local node memory
  node=$(hostname -s)
  memory=$(slurmd -C | grep -o 'RealMemory=[0-9]*')
  cat > "$SLURM_CONF" <<CONF
ClusterName=isolux
SlurmctldHost=$node(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
StateSaveLocation=$PLACE/state
SlurmdSpoolDir=$PLACE/spool
SlurmctldPidFile=$PLACE/slurmctld.pid
SlurmdPidFile=$PLACE/slurmd.pid
SlurmctldLogFile=$PLACE/slurmctld.log
SlurmdLogFile=$PLACE/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=defer
MpiDefault=none
ReturnToService=2
KillWait=5
NodeName=$node NodeAddr=127.0.0.1 CPUs=2 $memory
PartitionName=short Nodes=$node Default=YES MaxTime=60 State=UP
CONF
  slurmctld
  slurmd -N "$node"
  for _ in $(seq 60); do
    sinfo -h -o %t 2> /dev/null | grep -q idle && break
    sleep 0.5
  done
  sinfo
}

down() {
  scancel --state=PENDING,RUNNING --user="$(id -un)" 2> /dev/null || true
  for name in slurmd slurmctld; do
    [ -f "$PLACE/$name.pid" ] && kill "$(cat "$PLACE/$name.pid")" || true
  done
}

"$1"
