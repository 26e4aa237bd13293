package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/leak"
	"github.com/heapwright/heapwright/report"
)

// memused is the verb's choice of what to show.
type memused struct {
	in     input
	out    output
	number int
	all    bool
	group  bool
}

func newMemused() *cobra.Command {
	m := memused{out: output{more: []string{"pprof", "collapsed"}}}
	cmd := &cobra.Command{
		Use:   "memused SOURCE",
		Short: "List the used nodes of a listing or dump, with function names",
		Long: `List the used nodes of a dumped heap, or of a listing in a console log, the last
one unless told otherwise, with the functions that allocated them; or with -g
the call chains and how many nodes each holds. The text of a LiteOS listing from
a log is a console log again, which any verb reads; that of a dump, which has
sizes, is not: its JSON is for programs.

The size of a node is what was asked for or, in dumps of allocators that do not
record that, what its user may write. The total counts headers and padding.

Exit codes: 0 shown, 2 wrong usage or unreadable input, 3 shown, but the heap is
damaged, or the device reported that or a wild pointer: see memcheck.`,
		Example: `  heapwright memused ram.bin --symbols firmware.elf
  heapwright memused ram.bin --base 0x80000000 --pool 0x800578c0
  heapwright memused ram.bin --config .config --layout liteos --format json
  heapwright memused console.log --symbols firmware.elf
  heapwright memused console.log -g --symbols firmware.elf --top 10
  heapwright memused console.log -g --symbols firmware.elf --verbose
  heapwright memused console.log -g --symbols fw.elf --format pprof -o heap.pb
  heapwright memused console.log --listing 3
  heapwright memused console.log --all -o listings.log
  heapwright memused - --format json < console.log`,
		Args: args(1, 1, "one SOURCE, a log or dump, or - for standard input"),
		RunE: func(cmd *cobra.Command, logs []string) error {
			if err := m.in.check(cmd, logs); err != nil {
				return err
			}
			if err := m.out.check(cmd, &m.in, logs); err != nil {
				return err
			}
			if cmd.Flags().Changed("listing") && m.number < 1 {
				return usageError(cmd, fmt.Errorf("--listing is the number of a listing, counted from 1, not %d", m.number))
			}
			if m.all && (m.group || m.number > 0) {
				return usageError(cmd, errors.New("--all shows every listing node by node: it cannot be combined with --listing or --group"))
			}
			if slices.Contains(m.out.more, m.out.format) && !m.group {
				return usageError(cmd, fmt.Errorf("--format %s shows call sites: give it with --group", m.out.format))
			}
			if m.out.topSet && !m.group {
				return usageError(cmd, errors.New("--top counts call sites: give it with --group"))
			}
			return m.run(cmd, logs[0])
		},
	}
	m.in.flags(cmd)
	m.out.flags(cmd, "call sites with -g")
	cmd.Flags().IntVar(&m.number, "listing", 0, "show listing `N`, counted from 1 (default: the last)")
	cmd.Flags().BoolVar(&m.all, "all", false, "show all listings")
	cmd.Flags().BoolVarP(&m.group, "group", "g", false, "count nodes by call chain")
	return cmd
}

func (m *memused) run(cmd *cobra.Command, path string) error {
	sym, err := m.in.symbolizer()
	if err != nil {
		return err
	}
	if !m.group {
		s, err := m.in.source(cmd, path)
		if err != nil {
			return err
		}
		if s.memory {
			return m.dump(cmd, path, s, sym)
		}
		m.in.held = s
	}
	return m.list(cmd, path, sym)
}

// list shows listings of a log, or of anything grouped.
func (m *memused) list(cmd *cobra.Command, log string, sym heap.Symbolizer) error {
	if m.all {
		err := m.out.write(cmd, func(w io.Writer, o report.Options) error {
			nodes := m.nodes(w, sym, o)
			seen := make(map[heap.Addr]bool)
			for l, err := range m.in.listings(cmd, log) {
				if err != nil {
					return errors.Join(nodes.Close(m.in.remarks()), err)
				}
				collect(seen, l)
				if err := nodes.Listing(l); err != nil {
					return err
				}
			}
			if m.in.symbols != "" {
				m.in.checkSymbols(cmd, &m.out, sym, []heap.Stack{slices.Collect(maps.Keys(seen))})
			}
			m.in.sayReports(cmd, &m.out)
			return nodes.Close(m.in.remarks())
		})
		return cmp.Or(err, m.in.damaged())
	}
	listing, err := m.choose(cmd, log)
	if err != nil {
		return err
	}
	groups := leak.Group(listing, sym)
	m.in.checkSymbols(cmd, &m.out, sym, siteStacks(groups))
	m.in.sayReports(cmd, &m.out)
	err = m.out.write(cmd, func(w io.Writer, o report.Options) error {
		switch {
		case m.group && m.out.json():
			return report.GroupsJSON(w, groups, m.in.remarks(), o)
		case m.group && m.out.format == "text":
			return report.GroupsText(w, groups, m.in.remarks(), o)
		case m.group:
			return writers[m.out.format](w, &report.Document{
				Growth: groups, Symbols: sym, Warnings: m.in.warnings, Notes: m.in.notes, Listing: listing, Mappings: mappings(sym),
			}, o)
		}
		nodes := m.nodes(w, sym, o)
		if err := nodes.Listing(listing); err != nil {
			return err
		}
		return nodes.Close(m.in.remarks())
	})
	return cmp.Or(err, m.in.damaged())
}

// collect adds the return addresses of a listing to those seen.
func collect(seen map[heap.Addr]bool, l leak.Listing) {
	for _, s := range l {
		for i := range s.Nodes {
			for _, lr := range s.Nodes[i].Stack {
				seen[lr] = true
			}
		}
	}
}

// choose returns the listing asked for.
func (m *memused) choose(cmd *cobra.Command, log string) (leak.Listing, error) {
	var last leak.Listing
	n := 0
	for l, err := range m.in.listings(cmd, log) {
		if err != nil {
			return nil, err
		}
		last = l
		if n++; n == m.number {
			return l, nil
		}
	}
	if m.number > 0 {
		return nil, fmt.Errorf("there is no listing %d: %s", m.number, holding(n))
	}
	return last, nil
}

// nodeWriter writes listings node by node.
type nodeWriter interface {
	Listing(leak.Listing) error
	Close(notes []string) error
}

func (m *memused) nodes(w io.Writer, sym heap.Symbolizer, o report.Options) nodeWriter {
	if m.out.json() {
		return report.NewNodesJSON(w, sym)
	}
	if m.in.monitor != nil && m.in.monitor.Len() == 0 {
		sym = nil // nothing has a name
	}
	return report.NewNodesText(w, sym, o)
}
