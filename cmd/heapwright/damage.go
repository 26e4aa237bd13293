package main

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/spf13/cobra"

	"github.com/heapwright/heapwright/console"
	"github.com/heapwright/heapwright/damage"
	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/leak"
	"github.com/heapwright/heapwright/report"
)

// maxFindings bounds the findings that are kept: a device in a loop prints the
// same report for hours.
const maxFindings = 10_000

func newDamage() *cobra.Command {
	var in input
	out := output{more: []string{"sarif", "junit", "github"}}
	cmd := &cobra.Command{
		Use:   "damage LOG...",
		Short: "Explain what a device reported about its damaged heap",
		Long: `Explain what a device reported about its damaged heap: which header was
overwritten, with what and how far, which node lies in front of it and who
allocated that, what most likely happened, and what the device could not see.
Wild pointers passed to free are reports of the same kind.

Understood are the reports of LiteOS 5.0 built with LOSCFG_MEM_HEAD_BACKUP
(checksums, LOS_MemBadNodeShow, PROBABLY A WILD POINTER) or with
LOSCFG_BASE_MEM_NODE_INTEGRITY_CHECK (memcheck, with its dumps and panic; that
of OpenHarmony, too) and the frees that its event stream calls invalid,
ESP-IDF's CORRUPT HEAP lines, and what RT-Thread prints about bad blocks.
Listings in the same log tell who allocated the nodes, and lines of ESP-IDF's
monitor what addresses are called. Several logs are read in the order given,
each as that of a device of its own.

A log without reports does not prove the heap intact: see the note it ends with.

Exit codes: 0 no report was recognised, 2 wrong usage or unreadable input,
3 damage or a wild pointer was reported.`,
		Example: `  heapwright damage console.log --symbols firmware.elf
  heapwright damage monday.log tuesday.log --symbols firmware.nm.txt
  heapwright damage console.log --symbols firmware.elf --verbose
  heapwright damage console.log --symbols fw.elf --format sarif -o heap.sarif \
      --strip-prefix /home/builder/firmware
  heapwright damage - --format json < console.log`,
		Args: args(1, 0, "at least one LOG, or - for standard input"),
		RunE: func(cmd *cobra.Command, logs []string) error {
			if err := in.check(cmd, logs); err != nil {
				return err
			}
			if err := out.check(cmd, &in, logs); err != nil {
				return err
			}
			return explainDamage(cmd, &in, &out, logs)
		},
	}
	in.flags(cmd)
	out.flags(cmd, "")
	out.sourceFlags(cmd)
	return cmd
}

func explainDamage(cmd *cobra.Command, in *input, out *output, logs []string) error {
	sym, err := in.symbolizer()
	if err != nil {
		return err
	}
	in.names = sym
	var systems []string
	var failed error
	var empty []error
	for _, log := range logs {
		e := damage.NewExplainer(sym)
		for item, err := range in.items(cmd, log, &systems) {
			switch {
			case errors.Is(err, errEmpty):
				empty = append(empty, err)
			case err != nil:
				failed = err
			case item.Snapshot != nil:
				e.Add(item.Snapshot)
			default:
				in.finding(e, item.Finding)
			}
		}
		in.notes = append(in.notes, e.Notes()...)
		if failed != nil {
			break
		}
	}
	if failed != nil && (in.reports == 0 || out.toFile()) {
		return failed
	}
	if len(empty) == len(logs) {
		return empty[0]
	}
	for _, err := range empty {
		in.notes = append(in.notes, err.Error())
	}
	in.sayLeftOut()
	stacks := findingStacks(in.findings)
	if in.reports == 0 {
		in.notes = append(in.notes, damage.Silence(systems)...)
	} else {
		in.checkSymbols(cmd, out, sym, stacks)
		out.checkStrip(cmd, in, stackFrames(sym, stacks))
	}
	if failed != nil {
		in.notes = append(in.notes, "the logs were not read to their end; what is above was found before")
	}
	err = out.document(cmd, &report.Document{Findings: in.findings, Symbols: sym, Warnings: in.warnings, Notes: in.notes})
	return cmp.Or(err, failed, in.damaged())
}

var errEmpty = errors.New("the log is empty")

// items yields everything in a log, and adds the functions and systems that it
// names. After an error it yields nothing more.
func (in *input) items(cmd *cobra.Command, path string, systems *[]string) iter.Seq2[console.Item, error] {
	return func(yield func(console.Item, error) bool) {
		p := startProgress(cmd, path)
		defer p.stop()
		f, err := in.source(cmd, path, p)
		if err != nil {
			yield(console.Item{}, err)
			return
		}
		defer f.close()
		name := sourceName(path)
		r := console.NewReader(f.r, name)
		r.Names = in.monitor
		defer func() {
			in.notes = append(append(in.notes, r.Notes()...), r.DamageNotes()...)
			in.notes = append(in.notes, f.missing()...)
			for _, s := range r.Systems() {
				if !slices.Contains(*systems, s) {
					*systems = append(*systems, s)
				}
			}
		}()
		for item, err := range r.Items() {
			if err != nil {
				err = explain(cmd, err)
			}
			if !yield(item, err) || err != nil {
				return
			}
		}
		if r.Stats().Lines == 0 {
			yield(console.Item{}, fmt.Errorf("%s: %w", name, errEmpty))
		}
	}
}

// stackFrames returns the frames of stacks.
func stackFrames(sym heap.Symbolizer, stacks []heap.Stack) (frames []heap.Frame) {
	for _, s := range stacks {
		frames = append(frames, leak.Resolve(sym, s)...)
	}
	return frames
}

// findingStacks returns the call stacks of findings and of the nodes in them.
func findingStacks(findings []heap.Finding) []heap.Stack {
	var stacks []heap.Stack
	for i := range findings {
		f := &findings[i]
		stacks = append(stacks, f.Stack, f.FirstFree)
		for _, n := range []*heap.Node{f.Subject, f.Previous, f.Culprit} {
			if n != nil {
				stacks = append(stacks, n.Stack)
			}
		}
	}
	return stacks
}
