package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/image/layout"
	"github.com/heapwright/heapwright/internal/plain"
	"github.com/heapwright/heapwright/report"
)

// maxReturns bounds the return addresses that are compared with the symbols.
const maxReturns = 1 << 16

// dump shows the used nodes of a dump as they come: none is kept, so that it
// does not matter how many there are.
func (m *memused) dump(cmd *cobra.Command, path string, s *source, sym heap.Symbolizer) error {
	d, err := m.in.dump(cmd, path, s)
	if err != nil {
		return err
	}
	defer d.close()
	if m.number > 1 {
		return fmt.Errorf("there is no listing %d: a dump holds one", m.number)
	}
	var all []report.PoolNodes
	stacks := stackSet{}
	err = d.do(func() error {
		for _, p := range d.pools {
			all = append(all, m.look(d, p, stacks))
		}
		return nil
	})
	if err != nil {
		return err
	}
	m.in.sayAbout(d)
	m.in.checkSymbols(cmd, &m.out, sym, stacks.stacks())
	m.in.sayReports(cmd, &m.out)
	s.progress.stop()
	err = m.out.write(cmd, func(w io.Writer, o report.Options) error {
		return d.do(func() error {
			if m.out.json() {
				return report.PoolsJSON(w, all, sym, m.in.remarks())
			}
			if m.in.monitor != nil {
				sym = nil // nothing has a name
			}
			text := report.NewNodesText(w, sym, o)
			for i := range all {
				if err := text.Pool(&all[i]); err != nil {
					return err
				}
			}
			return text.Close(m.in.remarks())
		})
	})
	return cmp.Or(err, m.in.damaged())
}

// look checks a pool and returns its nodes, which are walked over again when
// they are asked for.
func (m *memused) look(d *dump, p layout.Pool, stacks stackSet) report.PoolNodes {
	a := p.About()
	lost, overwritten := 0, 0
	survey := p.Walk(func(n *heap.Node) bool {
		switch n.State {
		case heap.Used:
			stacks.add(n.Stack)
			if oneByte(n.Stack, a.PointerSize) {
				overwritten++
			}
		case heap.Quarantined:
			lost++
		}
		return true
	}, func(*heap.Finding) {})
	m.in.damage += survey.Findings
	if lost > 0 {
		m.in.notes = append(m.in.notes, fmt.Sprintf("damaged beyond recognition, and not listed: %s", plain.Plural(lost, "node")))
	}
	if overwritten > 0 {
		m.in.notes = append(m.in.notes, fmt.Sprintf("call stacks that are one byte repeated: of %s; they were overwritten, and no repair brings them back", plain.Plural(overwritten, "node")))
	}
	return report.PoolNodes{
		About:  a,
		Survey: survey,
		Snapshot: &heap.Snapshot{
			Label: "listing 1", Source: d.name, Pool: d.poolName(p), Tick: a.Tick, TickHz: a.TickHz,
			Owners: a.Owners, Stats: survey.Stats, Partial: survey.Partial,
		},
		Nodes: func(yield func(*heap.Node) bool) {
			p.Walk(func(n *heap.Node) bool { return n.State != heap.Used || yield(n) }, nil)
		},
	}
}

// oneByte reports whether a stack is nothing but one byte repeated, as what
// overwrites a node may leave it. No code lies at such addresses.
func oneByte(s heap.Stack, pointer int) bool {
	if len(s) == 0 || s[0]&0xff == 0 || pointer < 4 || pointer > 8 {
		return false
	}
	b := s[0] & 0xff * (^heap.Addr(0) / 0xff) >> (64 - 8*pointer)
	return !slices.ContainsFunc(s, func(lr heap.Addr) bool { return lr != b })
}

// A stackSet holds the return addresses of many nodes, up to maxReturns.
type stackSet map[heap.Addr]struct{}

func (s stackSet) add(stack heap.Stack) {
	for _, lr := range stack {
		if _, ok := s[lr]; !ok && len(s) < maxReturns {
			s[lr] = struct{}{}
		}
	}
}

// stacks returns the addresses as one stack in ascending order.
func (s stackSet) stacks() []heap.Stack {
	var all heap.Stack
	for lr := range s {
		all = append(all, lr)
	}
	slices.Sort(all)
	return []heap.Stack{all}
}
