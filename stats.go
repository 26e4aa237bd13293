package heapwright

import (
	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/node"
)

// Owner is a small integer tag that an allocation may carry, for statistics per
// task or module. What the numbers mean is the program's business; 0 is what
// allocations without a tag get.
type Owner uint16

// OwnerStats are the totals of one owner. Sizes are bytes, node headers
// included.
type OwnerStats struct {
	Owner     Owner
	Name      string // "" if the owner was never named
	Used      uint64
	Nodes     uint64 // used nodes
	Waterline uint64 // highest Used so far
}

type ownerTotals struct {
	name        string
	units, most uint32
	nodes       uint32
}

// Stats are the totals of a pool.
type Stats struct {
	heap.Stats
	Payload     uint64 // bytes asked for in used nodes
	Quarantined uint64 // bytes withdrawn after damage, part of Used
	MaxSize     uint64 // bytes the pool may grow to
}

// Stats returns the totals of the pool, in constant time. Used includes node
// headers, the pool head and quarantined memory, so that Used + Free = Size.
// LargestFree is the length of a node, its header included; freed nodes that
// are yet to be coalesced count as nodes of their own. The totals of a closed
// pool are zero.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.limit == 0 {
		return Stats{}
	}
	return p.stats()
}

func (p *Pool) stats() Stats {
	s := Stats{
		Payload:     p.payload,
		Quarantined: uint64(p.quarantined) * node.Unit,
		MaxSize:     uint64(p.reserved) / node.Unit * node.Unit,
	}
	if p.cfg.Region != nil || p.cfg.File != "" {
		s.MaxSize = p.size()
	}
	s.Size = p.size()
	s.Used = uint64(p.inUse) * node.Unit
	s.Free = s.Size - s.Used
	s.LargestFree = uint64(p.largestFree()) * node.Unit
	s.UsedNodes = uint64(p.usedNodes)
	s.FreeNodes = uint64(p.set.Len() + p.quick.Len())
	s.Waterline = uint64(p.waterline) * node.Unit
	return s
}

// size is the number of bytes under management.
func (p *Pool) size() uint64 { return (uint64(p.end) + uint64(p.lay.HeadU)) * node.Unit }

// overhead is the number of units in the pool head, the front and the end.
func (p *Pool) overhead() uint32 { return node.HeadUnits + 2*p.lay.HeadU }

// used is the number of units in used nodes.
func (p *Pool) used() uint32 { return p.inUse - p.quarantined - p.overhead() }

// charge enters a new used node of size units and n bytes of payload into the
// totals. The owner must be known.
func (p *Pool) charge(size uint32, n int, o Owner) {
	p.inUse += size
	p.waterline = max(p.waterline, p.inUse)
	p.usedNodes++
	p.payload += uint64(n)
	t := &p.owners[o]
	t.nodes++
	t.units += size
	t.most = max(t.most, t.units)
}

// discharge takes a used node out of the totals.
func (p *Pool) discharge(h node.Header) {
	p.inUse -= h.Size()
	p.usedNodes--
	p.payload -= uint64(p.payloadOf(h))
	t := &p.owners[h.Owner()]
	t.nodes--
	t.units -= h.Size()
}

// payloadOf is the number of bytes that were asked for.
func (p *Pool) payloadOf(h node.Header) uintptr {
	return uintptr(h.Size())*node.Unit - p.lay.Head - uintptr(h.Slack())
}

// meet makes an owner known.
func (p *Pool) meet(o Owner) {
	if int(o) >= len(p.owners) {
		p.owners = append(p.owners, make([]ownerTotals, int(o)+1-len(p.owners))...)
	}
}

// NameOwner gives an owner a name for listings and statistics.
func (p *Pool) NameOwner(o Owner, name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.meet(o)
	p.owners[o].name = name
}

// Owners returns the totals of every owner that has a name or ever had a node,
// in ascending order.
func (p *Pool) Owners() []OwnerStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []OwnerStats
	for i, t := range p.owners {
		if t.name == "" && t.most == 0 {
			continue
		}
		all = append(all, OwnerStats{
			Owner: Owner(i), Name: t.name, Nodes: uint64(t.nodes),
			Used: uint64(t.units) * node.Unit, Waterline: uint64(t.most) * node.Unit,
		})
	}
	return all
}
