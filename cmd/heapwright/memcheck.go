package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/heapwright/heapwright/console"
	"github.com/heapwright/heapwright/damage"
	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/image"
	"github.com/heapwright/heapwright/leak"
	"github.com/heapwright/heapwright/report"
)

// maxFindings bounds the findings that are kept: a device in a loop prints the
// same report for hours.
const maxFindings = 10_000

// memcheck checks dumps, and explains what devices reported in logs.
type memcheck struct {
	in      input
	out     output
	repair  string
	sym     heap.Symbolizer
	sources int
	logs    int      // among the sources
	systems []string // that the logs are from
	empty   []error  // logs without anything in them
	checked report.Checked
	// unrepaired is why there is no repaired copy.
	unrepaired error
}

func newMemcheck() *cobra.Command {
	m := memcheck{out: output{more: []string{"sarif", "junit", "github"}}}
	cmd := &cobra.Command{
		Use:     "memcheck SOURCE...",
		Aliases: []string{"damage"},
		Short:   "Check a dumped heap, or explain the damage that a log reports",
		Long: `Check a dumped heap node by node, past all damage; or explain what a device
reported about its damaged heap in a console log. Either way: which header was
overwritten, with what and how far, which node lies in front of it and who
allocated that, what most likely happened, and what could not be seen.

Of a dump (raw RAM, an ELF core, Intel HEX, S-records, any of them packed with
gzip) the allocator and its configuration are found out and printed with the
evidence. A raw dump whose address is not given with --base is searched for
what tells it. --repair writes a copy of the dump with all that provably was
there put back.

In logs, the reports of LiteOS 5.0 built with LOSCFG_MEM_HEAD_BACKUP (checksums,
LOS_MemBadNodeShow, PROBABLY A WILD POINTER) or with
LOSCFG_BASE_MEM_NODE_INTEGRITY_CHECK (memcheck, with its dumps and panic; that
of OpenHarmony, too) are understood, and the frees that its event stream calls
invalid, ESP-IDF's CORRUPT HEAP lines, and what RT-Thread prints about bad
blocks. Listings in the same log tell who allocated the nodes, and lines of
ESP-IDF's monitor what addresses are called. A log without reports does not
prove the heap intact: see the note it ends with. heapwright damage is the same.

Several sources are read in the order given, each as that of a device of its
own. Pieces of one memory are one source, separated by commas.

Exit codes: 0 clean, or no report was recognised, 2 wrong usage or unreadable
input, 3 damage or a wild pointer was found, repaired or not, 4 no damage was
found, but not all of the heap could be checked.`,
		Example: `  heapwright memcheck ram.bin --symbols firmware.elf
  heapwright memcheck ram.bin --base 0x80000000 --config .config
  heapwright memcheck ram.bin --base 0x80000000 --pool 0x800578c0
  heapwright memcheck core.elf,sram.bin@0x20000000 --layout liteos
  heapwright memcheck ram.bin --repair repaired.bin
  heapwright memcheck - --format json < ram.bin.gz
  heapwright memcheck console.log --symbols firmware.nm.txt --verbose
  heapwright memcheck console.log --symbols fw.elf --format sarif \
      -o heap.sarif --strip-prefix /home/builder/firmware`,
		Args: args(1, 0, "at least one SOURCE, a log or dump, or - for standard input"),
		RunE: func(cmd *cobra.Command, sources []string) error {
			if err := m.check(cmd, sources); err != nil {
				return err
			}
			return m.run(cmd, sources)
		},
	}
	m.in.flags(cmd)
	m.out.flags(cmd, "")
	m.out.sourceFlags(cmd)
	cmd.Flags().StringVar(&m.repair, "repair", "", "write the dump, with what could be restored, to `FILE`")
	return cmd
}

func (m *memcheck) check(cmd *cobra.Command, sources []string) error {
	if err := m.in.check(cmd, sources); err != nil {
		return err
	}
	if err := m.out.check(cmd, &m.in, sources); err != nil {
		return err
	}
	switch {
	case !cmd.Flags().Changed("repair"):
		return nil
	case m.repair == "" || m.repair == "-":
		return usageError(cmd, errors.New("--repair needs the name of a file to write the repaired copy to"))
	case len(sources) > 1:
		return usageError(cmd, errors.New("--repair writes a copy of one dump: give one SOURCE"))
	}
	if m.out.toFile() && sameFile(m.repair, m.out.file) {
		return usageError(cmd, fmt.Errorf("--repair and -o both name %s", m.repair))
	}
	st, err := os.Stat(m.repair)
	if err != nil {
		return nil
	}
	given := append([]string{m.in.symbols, m.in.memory.config}, inputFiles(sources)...)
	for _, path := range given {
		if input, err := stat(cmd, path); err == nil && os.SameFile(st, input) {
			return usageError(cmd, fmt.Errorf("--repair %s would overwrite the input %s: give another name", m.repair, named(path)))
		}
	}
	if st.Mode().IsRegular() && st.Mode().Perm()&0o200 == 0 {
		return fmt.Errorf("%s is write-protected: give --repair another name", m.repair)
	}
	return nil
}

func (m *memcheck) run(cmd *cobra.Command, sources []string) (err error) {
	if m.sym, err = m.in.symbolizer(); err != nil {
		return err
	}
	m.in.names, m.sources = m.sym, len(sources)
	var failed error
	for _, path := range sources {
		if failed = m.source(cmd, path); failed != nil {
			break
		}
	}
	found := m.in.reports+m.in.damage > 0
	if failed != nil && (!found || m.out.toFile()) {
		return failed
	}
	if len(m.empty) == m.sources {
		return m.empty[0]
	}
	for _, err := range m.empty {
		m.in.notes = append(m.in.notes, err.Error())
	}
	m.in.sayLeftOut()
	if m.logs > 0 && m.in.reports == 0 {
		m.in.notes = append(m.in.notes, damage.Silence(m.systems)...)
	}
	if stacks := findingStacks(m.in.findings); found {
		m.in.checkSymbols(cmd, &m.out, m.sym, stacks)
		m.out.checkStrip(cmd, &m.in, stackFrames(m.sym, stacks))
	}
	if failed != nil {
		m.in.notes = append(m.in.notes, "the sources were not read to their end; what is above was found before")
	}
	return cmp.Or(m.write(cmd), failed, m.unrepaired, m.verdict())
}

// verdict is the exit code.
func (m *memcheck) verdict() error {
	if err := m.in.damaged(); err != nil {
		return err
	}
	if m.checked.Partial() != "" {
		return errInconclusive
	}
	return nil
}

func (m *memcheck) write(cmd *cobra.Command) error {
	own := m.out.format == "text" || m.out.json() // which say it of each pool
	if partial := m.checked.Partial(); partial != "" && !own {
		m.in.warn(cmd, &m.out, "not all of the heap could be checked: "+partial)
	}
	d := &report.Document{Findings: m.in.findings, Symbols: m.sym, Warnings: m.in.warnings, Notes: m.in.notes}
	if len(m.checked.Pools) == 0 || !own {
		return m.out.document(cmd, d)
	}
	return m.out.write(cmd, func(w io.Writer, o report.Options) error {
		if m.out.json() {
			return report.CheckJSON(w, &m.checked, d, o)
		}
		return report.CheckText(w, &m.checked, d, o)
	})
}

// source reads one log or dump.
func (m *memcheck) source(cmd *cobra.Command, path string) error {
	s, err := m.in.source(cmd, path)
	if err != nil {
		return err
	}
	defer s.close()
	if s.memory {
		return m.dump(cmd, path, s)
	}
	m.logs++
	if m.repair != "" {
		return fmt.Errorf("%s is a console log: --repair needs a dump of the memory", named(path))
	}
	return m.log(cmd, path, s)
}

// log collects the findings in a log, and the functions and systems that it
// names.
func (m *memcheck) log(cmd *cobra.Command, path string, s *source) error {
	name := sourceName(path)
	r := console.NewReader(s.r, name)
	r.Names = m.in.monitor
	e := damage.NewExplainer(m.sym)
	defer func() {
		m.in.notes = slices.Concat(m.in.notes, r.Notes(), r.DamageNotes(), s.missing(), e.Notes())
		for _, s := range r.Systems() {
			if !slices.Contains(m.systems, s) {
				m.systems = append(m.systems, s)
			}
		}
	}()
	for item, err := range r.Items() {
		switch {
		case err != nil:
			return explain(cmd, err)
		case item.Snapshot != nil:
			e.Add(item.Snapshot)
		default:
			m.in.finding(e, item.Finding)
		}
	}
	if r.Stats().Lines == 0 {
		what := "the file is empty" // it may have been to be a dump
		if path == "-" {
			what = "nothing came"
		}
		m.empty = append(m.empty, fmt.Errorf("%s: %s", name, what))
	}
	return nil
}

// dump checks the pools in a dump.
func (m *memcheck) dump(cmd *cobra.Command, path string, s *source) error {
	d, err := m.in.dump(cmd, path, s)
	if err != nil {
		return err
	}
	defer d.close()
	s.progress.doing("checking")
	var pools []report.CheckedPool
	err = d.do(func() error {
		for _, pool := range d.pools {
			c := report.CheckedPool{About: pool.About(), Source: d.name, Name: d.poolName(pool)}
			before := len(m.in.findings)
			c.Survey = pool.Walk(nil, func(f *heap.Finding) {
				f.Pool = c.Name
				if m.sources > 1 {
					f.Source = d.name
				}
				m.in.dumpFinding(f)
			})
			m.in.damage += c.Survey.Findings
			if n := d.lacks(c.About.Span); n > 0 && c.Survey.Partial == "" {
				c.Survey.Partial = fmt.Sprintf("%d of its %d bytes are not in the dump", n, c.About.Span.Len())
			}
			if n := c.Survey.Findings - (len(m.in.findings) - before); n > 0 {
				m.in.notes = append(m.in.notes, fmt.Sprintf("%s: findings in the pool at %[3]s that are counted, but not shown: %[2]d", d.name, n, c.About.Span.Start))
			}
			pools = append(pools, c)
		}
		return nil
	})
	if err != nil {
		return err
	}
	m.checked.Pools = append(m.checked.Pools, pools...)
	notes, warnings := d.about()
	if m.out.format == "text" || m.out.json() { // which show the pools themselves
		notes = slices.Concat(d.notes, d.searched)
		switch {
		case d.baseNote == "":
		case d.brief:
			notes = append(notes, d.baseBrief)
		default:
			notes = append(notes, d.baseNote)
		}
	}
	m.in.notes = append(m.in.notes, notes...)
	s.progress.stop()
	for _, w := range warnings {
		m.in.warn(cmd, &m.out, w)
	}
	if m.repair != "" {
		m.repairTo(d)
	}
	return nil
}

// repairTo writes the repaired copy.
func (m *memcheck) repairTo(d *dump) {
	r := &report.Repair{File: m.repair}
	var repairs []heap.Memory
	for _, p := range m.checked.Pools {
		r.Patches = append(r.Patches, p.Survey.Patches...)
		for _, c := range p.Survey.Patches {
			repairs = append(repairs, heap.Memory{Addr: c.Addr, Bytes: c.New})
		}
	}
	for i := range m.in.findings {
		switch f := &m.in.findings[i]; {
		case !f.Recovered:
			r.Lost = append(r.Lost, f.Summary())
		case lostStack(f):
			r.Lost = append(r.Lost, fmt.Sprintf("the call stack of node %s: nothing else tells it", f.Node))
		}
	}
	err := replaceFile(m.repair, func(w io.Writer) error {
		return d.do(func() error { return d.image.WriteRepaired(w, repairs) })
	})
	switch {
	case errors.Is(err, image.ErrNoCopy):
		m.unrepaired = fmt.Errorf("--repair: %s is %s: %w\nconvert it to raw memory first, for example with objcopy -O binary", d.name, d.image.Format(), err)
	case err != nil:
		m.unrepaired = fmt.Errorf("--repair: %w", err)
	default:
		m.checked.Repair = r
		if strings.Contains(d.image.Format(), "gzip") {
			m.in.notes = append(m.in.notes, m.repair+" is not packed")
		}
		return
	}
	m.in.notes = append(m.in.notes, m.repair+" was not written")
}

// lostStack reports whether the damaged node has lost the call stack that its
// neighbours have.
func lostStack(f *heap.Finding) bool {
	return f.Kind == heap.HeaderDamaged && f.Subject != nil && len(f.Subject.Stack) == 0 &&
		(f.Previous != nil && len(f.Previous.Stack) > 0 || f.Culprit != nil && len(f.Culprit.Stack) > 0)
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
