package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/report"
)

// maxAddresses bounds the addresses that are explained at a time: each takes a
// walk over its pool.
const maxAddresses = 64

// explainVerb is the verb's choice of what to explain.
type explainVerb struct {
	in        input
	out       output
	unaligned bool
	addresses []heap.Addr
}

func newExplain() *cobra.Command {
	var v explainVerb
	cmd := &cobra.Command{
		Use:   "explain SOURCE ADDR...",
		Short: "Tell all that is known about a node, or what lies at an address",
		Long: `Tell all that is known about the node that an address lies in, be it the start
of the node, the pointer that the program holds, or any address inside: state,
size, owner, age, who allocated it, its neighbours, its header and backup field
by field with what is wrong, the findings that concern it, its memory with
what words in it point to, what points to it, and how it is reached from the
program's variables, or that it is not.

Of an address in no node it tells what lies there, and the nearest node. What
points to a node can be told of a dump of the whole RAM, or a core. Of a console
log it tells what its last listing says.

Exit codes: 0 explained, 2 wrong usage or unreadable input, 3 explained, and the
node is damaged.`,
		Example: `  heapwright explain ram.bin 0x802d79e4 --symbols firmware.elf
  heapwright explain ram.bin 0x802d79e4 0x802d7a10 --symbols fw.elf --verbose
  heapwright explain core.elf 0x802d79e4 --symbols firmware.elf --unaligned
  heapwright explain ram.bin 0x802d79e4 --base 0x80000000 --pool 0x80040000
  heapwright explain ram.bin 0x802d79e4 --config device.config --layout liteos
  heapwright explain console.log 0x2b94c --symbols firmware.nm.txt
  heapwright explain ram.bin 0x802d79e4 --format json -o node.json`,
		Args: func(cmd *cobra.Command, given []string) error {
			if len(given) < 2 {
				return usageError(cmd, errors.New("explain needs a SOURCE and an address in it, such as\n  heapwright explain ram.bin 0x802d79e4"))
			}
			if len(given)-1 > maxAddresses {
				return usageError(cmd, fmt.Errorf("%d addresses are too many: give at most %d at a time", len(given)-1, maxAddresses))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, given []string) error {
			for _, s := range given[1:] {
				var a address
				if err := a.Set(s); err != nil {
					return usageError(cmd, fmt.Errorf("%q is no address: %w", s, err))
				}
				v.addresses = append(v.addresses, a.addr)
			}
			if err := v.in.check(cmd, given[:1]); err != nil {
				return err
			}
			if err := v.out.check(cmd, &v.in, given[:1]); err != nil {
				return err
			}
			return v.run(cmd, given[0])
		},
	}
	v.in.flags(cmd)
	v.out.flags(cmd, "")
	cmd.Flags().BoolVar(&v.unaligned, "unaligned", false, "look for pointers at every byte offset: slower, and more numbers pass for pointers")
	return cmd
}

func (v *explainVerb) run(cmd *cobra.Command, source string) error {
	sym, err := v.in.symbolizer()
	if err != nil {
		return err
	}
	all, err := v.explain(cmd, source, sym)
	if err != nil {
		return err
	}
	var stacks []heap.Stack
	damaged := false
	for i := range all {
		for _, n := range []*heap.Node{all[i].Node, all[i].Before, all[i].Behind} {
			if n != nil {
				stacks = append(stacks, n.Stack)
			}
		}
		damaged = damaged || all[i].Damaged
	}
	v.in.checkSymbols(cmd, &v.out, sym, stacks)
	err = v.out.write(cmd, func(w io.Writer, o report.Options) error {
		if v.out.json() {
			return report.ExplainJSON(w, all, sym, v.in.remarks(), o)
		}
		return report.ExplainText(w, all, sym, v.in.remarks(), o)
	})
	if err == nil && damaged {
		err = exitError{code: exitCorruption}
	}
	return err
}

// explain gathers what is known about each address.
func (v *explainVerb) explain(cmd *cobra.Command, source string, sym heap.Symbolizer) ([]report.Explanation, error) {
	s, err := v.in.source(cmd, source)
	if err != nil {
		return nil, err
	}
	if !s.memory {
		v.in.held = s
		return v.explainLog(cmd, source)
	}
	d, err := v.in.dump(cmd, source, s)
	if err != nil {
		return nil, err
	}
	defer d.close()
	v.in.sayAbout(d)
	all := make([]report.Explanation, len(v.addresses))
	standings, err := v.in.reachability(d, v.unaligned)
	if err != nil {
		return nil, err
	}
	err = d.do(func() error {
		for i, addr := range v.addresses {
			e := explainer{d: d, in: &v.in, sym: sym, verbose: v.out.verbose, reach: standings}
			all[i] = e.explain(addr)
		}
		return nil
	})
	d.progress.stop()
	return all, cmp.Or(err, d.ctx.Err())
}
