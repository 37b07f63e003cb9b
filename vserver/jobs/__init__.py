"""Jobs, tasks and runs: submitted by people, claimed and ended by nodes. One file a use case.

submit     a signed plan becomes a job          schedule   what follows from how runs ended: pure
subtasks   a running algorithm asks others      progress   doing what schedule decided, in one transaction
claim      a node's long-poll                   results    how an attempt ended
deadlines  leases and plans that run out        control    cancel, delete

One rule keeps transactions from waiting for each other in circles: whoever changes runs holds their job's row first
(`progress.Change`), several jobs in the order of their ids.
"""
