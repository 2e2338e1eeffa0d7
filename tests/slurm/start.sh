#!/bin/bash
# Slurm of one node on the loopback, for tests: munge, slurmctld and slurmd of Debian, as root, in the folder $1.
#   apt-get install -y slurmctld slurmd slurm-client munge
set -e
folder=$(realpath "${1:?a folder for its files}")
mkdir -p "$folder"/{state,spool} /etc/slurm /run/munge /var/log/munge
cat > /etc/slurm/slurm.conf <<CONF
ClusterName=one
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
KillWait=30
PreemptType=preempt/none
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
if ! pgrep -x munged > /dev/null; then
    [ -s /etc/munge/munge.key ] || { dd if=/dev/urandom of=/etc/munge/munge.key bs=1 count=1024 status=none; }
    chown -R munge: /etc/munge /run/munge /var/log/munge /var/lib/munge
    chmod 400 /etc/munge/munge.key
    runuser -u munge -- /usr/sbin/munged
fi
pgrep -x slurmctld > /dev/null || slurmctld
pgrep -x slurmd > /dev/null || slurmd
for _ in $(seq 30); do
    [ "$(sinfo --noheader --format %T 2> /dev/null)" = idle ] && exit 0
    sleep 1
done
echo "the node is not idle: see $folder" >&2
exit 1
