//go:build invariants

package heapwright

import (
	"fmt"
	"strings"

	"github.com/heapwright/heapwright/internal/node"
)

// With the build tag invariants the whole pool is examined after every
// operation, and more strictly than damage would show: an operation on a sound
// pool must leave a sound pool. Operations that met damage are left out,
// because the program may be at it again.
const invariants = true

func (p *Pool) checkInvariants() {
	if p.pending != nil {
		return
	}
	e := p.examine("invariants")
	var wrong []string
	for i := range e.findings {
		wrong = append(wrong, e.findings[i].Summary())
	}
	var prev node.State
	var payload uint64
	var quarantined uint32
	units := map[Owner]uint32{}
	p.surveyed().Survey(func(s, _, _ *seen) bool {
		if s.Lost {
			return true
		}
		state := s.H.State()
		if state == node.Free && prev == node.Free {
			wrong = append(wrong, fmt.Sprintf("free nodes side by side at ref %d", s.Ref))
		}
		prev = state
		switch state {
		case node.Used:
			payload += uint64(p.payloadOf(s.H))
			units[Owner(s.H.Owner())] += s.Size
		case node.Quarantined:
			quarantined += s.Size
		}
		return true
	})
	if payload != p.payload {
		wrong = append(wrong, fmt.Sprintf("payload %d, recounted %d", p.payload, payload))
	}
	if quarantined != p.quarantined {
		wrong = append(wrong, fmt.Sprintf("quarantined %d units, recounted %d", p.quarantined, quarantined))
	}
	for i, o := range p.owners {
		if o.units != units[Owner(i)] {
			wrong = append(wrong, fmt.Sprintf("owner %d has %d units, recounted %d", i, o.units, units[Owner(i)]))
		}
	}
	if wrong != nil {
		p.mu.Unlock()
		panic("heapwright: invariants of pool " + p.name + ":\n" + strings.Join(wrong, "\n") + "\n" + p.dump())
	}
}

// dump lists every node, for the message of a violated invariant.
func (p *Pool) dump() string {
	var b strings.Builder
	p.surveyed().Survey(func(s, _, _ *seen) bool {
		fmt.Fprintf(&b, "ref %8d size %8d prev %8d %s", s.Ref, s.Size, s.H.Prev(), s.H.State())
		if !s.Sound() {
			fmt.Fprintf(&b, " header=%v backup=%v differ=%v link=%v lost=%v", s.HeaderOK, s.BackupOK, s.Differ, s.LinkOK, s.Lost)
		}
		b.WriteByte('\n')
		return b.Len() < 64<<10
	})
	return b.String()
}
