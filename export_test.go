package heapwright

// HeadBytes returns the length of what lies in front of a payload, and how much
// of that is the backup of the next node's header.
func (p *Pool) HeadBytes() (head, backup uintptr) { return p.lay.Head, p.lay.Slot }

// Invariants says whether the pool is examined after every operation.
const Invariants = invariants
