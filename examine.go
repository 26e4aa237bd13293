package heapwright

import (
	"fmt"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/callers"
	"github.com/heapwright/heapwright/internal/node"
	"github.com/heapwright/heapwright/internal/survey"
)

// seen is a node as a survey meets it.
type seen = survey.Seen

// surveyed is the pool as package survey looks at it.
func (p *Pool) surveyed() *survey.Region {
	return &survey.Region{
		Base: p.base, End: p.end, Limit: p.end + p.lay.HeadU, Origin: p.origin,
		Layout: &p.lay, FreeSize: p.freeSize, LR: p.lr,
	}
}

// freeSize returns the size of the node at ref according to the structures that
// hold free nodes; 0 if they do not know it.
func (p *Pool) freeSize(ref uint32) uint32 {
	if slot := p.set.Find(ref); slot != 0 {
		_, size := p.set.At(slot)
		return size
	}
	return p.quick.Find(ref)
}

// lr is the return address that an LR of a header stands for.
func (p *Pool) lr(v uint32) heap.Addr {
	if v == 0 {
		return 0
	}
	if p.foreign {
		return heap.Addr(uintptr(callers.Rebase(v, uint64(p.anchor))))
	}
	pc, _ := callers.Address(v)
	return heap.Addr(pc)
}

// examination is one survey with everything that it found wrong.
type examination struct {
	findings []heap.Finding
	unsound  []seen // nodes whose header or backup must be written anew
	totals   bool   // the totals or the free structures must be rebuilt
	head     bool   // the pool head must be written anew
}

func (e *examination) clean() bool { return len(e.findings) == 0 }

// examine surveys the pool and explains everything that is wrong with it. It
// changes nothing.
func (p *Pool) examine(op string) *examination {
	e := &examination{}
	add := func(f heap.Finding) {
		f.Pool, f.Op = p.name, op
		e.findings = append(e.findings, f)
	}
	if !node.HeadAt(p.base).Intact() {
		e.head = true
		add(heap.Finding{
			Kind:      heap.PoolHeadDamaged,
			Span:      heap.Span{Start: heap.Addr(p.origin), End: heap.Addr(p.origin) + node.HeadSize},
			Recovered: true,
			Detail:    "the pool head, which readers of dumps need, is not as it was written",
		})
	}

	r := p.surveyed()
	x := r.Examiner()
	var used, usedNodes, free, freeNodes uint64
	lost := false
	r.Survey(func(s, before, beforeThat *seen) bool {
		f := x.Next(s, before, beforeThat)
		if f != nil {
			add(*f)
		}
		if !s.Sound() {
			e.unsound = append(e.unsound, *s)
			lost = lost || s.Lost
		}
		if s.Lost {
			return true
		}
		switch s.H.State() {
		case node.Used:
			used += uint64(s.Size)
			usedNodes++
		case node.Free, node.Quick:
			free += uint64(s.Size)
			freeNodes++
			if p.readOnly {
				break // the free structures come later
			}
			if g := p.explainFree(r, s); g != nil {
				e.totals = true
				if s.HeaderOK || f == nil || g.Kind != heap.FreeDamaged { // else the same overwrite
					add(*g)
				}
			}
		}
		return true
	})
	if lost || p.readOnly {
		return e
	}
	if have := uint64(p.set.Len() + p.quick.Len()); have != freeNodes {
		e.totals = true
		add(heap.Finding{
			Kind: heap.FreeIndexWrong, Recovered: true,
			Detail: fmt.Sprintf("the free structures hold %d nodes, the pool has %d free ones", have, freeNodes),
		})
	}
	if used != uint64(p.used()) || usedNodes != uint64(p.usedNodes) {
		e.totals = true
		add(heap.Finding{
			Kind: heap.TotalsWrong, Recovered: true,
			Detail: fmt.Sprintf("the totals say %d used nodes with %d bytes, a recount gives %d with %d",
				p.usedNodes, uint64(p.used())*node.Unit, usedNodes, used*node.Unit),
		})
	}
	return e
}

// explainFree checks what the free structures know about a free node; nil if
// that is right.
func (p *Pool) explainFree(r *survey.Region, s *seen) *heap.Finding {
	missing := func(from string) *heap.Finding {
		return &heap.Finding{
			Kind: heap.FreeIndexWrong, Node: r.Addr(s.Ref), Recovered: true, Subject: r.Node(s),
			Detail: "a free node is missing from the " + from,
		}
	}
	if s.H.State() == node.Quick {
		if p.quick.Has(s.Ref, s.Size) {
			return nil
		}
		return missing("quick lists")
	}
	if p.set.Holds(*p.note(s.Ref), s.Ref, s.Size) {
		return nil
	}
	if slot := p.set.Find(s.Ref); slot == 0 || !p.set.Holds(slot, s.Ref, s.Size) {
		return missing("ordered set")
	}
	return r.Note(s)
}
