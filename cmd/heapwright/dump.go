package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/image"
	"github.com/heapwright/heapwright/image/layout"
	"github.com/heapwright/heapwright/report"
)

// A dump is memory and the pools in it. It must be closed.
type dump struct {
	image *image.Image
	// pools count as progress and end their walks early when the command is
	// interrupted: look for the error of do.
	pools []layout.Pool
	// name is what the dump is called in sources and messages.
	name string
	// notes are what there is to say of the image and of the search; warnings
	// put the answer in doubt.
	notes, warnings []string
	// brief leaves most evidence out of about.
	brief bool
	// baseNote says where a raw dump was found to lie and why, baseBrief the same
	// in a clause; empty: its address was known, or is not.
	baseNote, baseBrief string
	// placed is where the program lay. The pools' call stacks are translated to
	// the addresses in its file.
	placed placed

	searched []string // notes of the last search
	unbased  bool     // nothing tells where a raw dump lay

	ctx      context.Context
	source   *source
	progress *progress // of source
}

// openDump opens memory and finds the pools in it, of which there is at least
// one. It must be called after symbolizer.
func (in *input) openDump(cmd *cobra.Command, path string) (*dump, error) {
	s, err := in.source(cmd, path)
	if err != nil {
		return nil, err
	}
	if !s.memory {
		defer s.close()
		return nil, notMemory(cmd, path, s.r)
	}
	return in.dump(cmd, path, s)
}

// notMemory says what a source is that holds no memory.
func notMemory(cmd *cobra.Command, path string, r io.Reader) error {
	head := make([]byte, 4)
	n, _ := io.ReadFull(r, head)
	switch {
	case n == 0:
		return fmt.Errorf("%s is empty: %s reads memory: a RAM dump, an ELF core, Intel HEX or S-records", named(path), cmd.Name())
	case string(head) == "\x7fELF":
		return fmt.Errorf("%s is an ELF file, but no core\ngive the dump, and the ELF file with --symbols %[1]s", named(path))
	}
	return fmt.Errorf("%s is text, a console log: %s reads memory: a RAM dump, an ELF core, Intel HEX or S-records\n"+
		"if it is a raw dump that looks like text, say where it begins with --base", named(path), cmd.Name())
}

// dump reads memory. It owns s.
func (in *input) dump(cmd *cobra.Command, path string, s *source) (*dump, error) {
	hints, err := in.memory.hints()
	if err != nil {
		s.close()
		return nil, err
	}
	d := &dump{name: sourceName(path), brief: in.brief, ctx: cmd.Context(), source: s, progress: s.progress}
	if err := d.read(&in.memory, path, s); err != nil {
		d.close()
		return nil, explainImage(cmd, path, err)
	}
	d.placed = in.place(d.image.Mappings(), nil)
	in.move(d.placed.bias)
	hints.Program, hints.PointerSize = in.program, d.image.PointerSize()
	s.progress.doing("searching")
	if err := d.do(func() error { return d.find(hints) }); err != nil {
		err = d.explain(&in.memory, &hints, in.symbols, err)
		d.close()
		return nil, err
	}
	if !d.placed.known {
		d.placed = in.place(d.image.Mappings(), d.pools)
		in.move(d.placed.bias)
	}
	d.sayPlace(in.symbols)
	for i, pool := range d.pools {
		d.pools[i] = &watchedPool{pool, d}
	}
	s.progress.doing("reading")
	return d, nil
}

// sourceName is what sources of snapshots call a file.
func sourceName(path string) string {
	if path == "-" {
		return heap.Stdin
	}
	return path
}

func (d *dump) read(flags *memoryFlags, path string, s *source) (err error) {
	o := image.Options{MaxBytes: maxStream}
	if flags.base.given {
		o.Base = &flags.base.addr
	}
	if s.file {
		files := pieces(path)
		if !slices.ContainsFunc(inputFiles([]string{path}), special) {
			o.MaxBytes = 0
		}
		if len(files) == 1 && exists(path) { // whatever its name looks like
			d.image, err = image.Open(path, o)
		} else {
			d.image, err = image.OpenAll(files, o)
		}
	} else {
		d.image, err = image.Read(d.name, s.r, o)
	}
	if err != nil {
		return err
	}
	d.notes = append(d.notes, d.image.Notes()...)
	if partial := d.image.Partial(); partial != "" {
		d.warnings = append(d.warnings, d.name+" is not complete: "+partial)
	}
	return nil
}

// maxStream is how much is read of what is no file: it may not end.
const maxStream = 1 << 30

// special reports whether a name is that of a pipe or device.
func special(path string) bool {
	st, err := os.Stat(path)
	return err == nil && !st.Mode().IsRegular()
}

// find finds the pools, and where a raw dump lies.
func (d *dump) find(h layout.Hints) error {
	if !d.image.Based() {
		return d.findUnbased(h)
	}
	return d.search(h)
}

// search finds the pools in memory whose addresses are known.
func (d *dump) search(h layout.Hints) error {
	pools, notes, err := layout.Find(d.image, h)
	d.pools, d.searched = pools, notes
	return err
}

// close gives the memory back; nothing of the dump must be used any more.
func (d *dump) close() {
	d.source.close()
	if d.image != nil {
		d.image.Close()
	}
}

// do calls f, which looks at the memory, and returns its error, or that the
// file became shorter meanwhile, or that the command was interrupted.
func (d *dump) do(f func() error) error {
	if d.image == nil {
		return errors.New("closed")
	}
	if err := d.image.Guard(f); err != nil {
		return fmt.Errorf("%s: %w", d.name, err)
	}
	return d.ctx.Err()
}

// lacks returns how many bytes of a range are not in the image.
func (d *dump) lacks(s heap.Span) uint64 {
	n := s.Len()
	for _, m := range d.image.Spans() {
		from, to := max(s.Start, m.Addr), min(s.End, m.Addr+heap.Addr(len(m.Bytes)))
		if from < to {
			n -= uint64(to - from)
		}
	}
	return n
}

// snapshots returns the used nodes of each pool, and reports what is wrong with
// them.
func (d *dump) snapshots(report func(*heap.Finding)) (all []*heap.Snapshot, err error) {
	err = d.do(func() error {
		for _, p := range d.pools {
			s := layout.Snapshot(&checkedPool{p, report})
			s.Source, s.Pool = d.name, d.poolName(p)
			all = append(all, s)
		}
		return nil
	})
	return all, err
}

// poolName is what a pool is called among those of the dump, "" if it is the
// only one.
func (d *dump) poolName(p layout.Pool) string {
	if len(d.pools) == 1 {
		return ""
	}
	return p.About().Label()
}

// evidenceMark separates what a pool is from why that is believed.
const evidenceMark = "; evidence: "

// about says of each pool what it is believed to be and why.
func (d *dump) about() (notes, doubts []string) {
	for i, p := range d.pools {
		a := p.About()
		in := fmt.Sprintf("heap at %s in %s, %d bytes: ", a.Span.Start, d.name, a.Span.Len())
		if d.brief {
			base := ""
			if i == 0 {
				base = d.baseBrief
			}
			notes = append(notes, in+briefly(a, base))
		} else {
			notes = append(notes, in+a.Layout+called(a)+evidenceMark+strings.Join(a.Evidence, "; "))
		}
		for _, s := range a.Doubts {
			doubts = append(doubts, fmt.Sprintf("heap at %s in %s: %s", a.Span.Start, d.name, s))
		}
	}
	before := d.notes
	if d.baseNote != "" && !d.brief {
		before = append(slices.Clip(before), d.baseNote)
	}
	return slices.Concat(before, d.searched, notes), slices.Concat(d.warnings, doubts)
}

// called says what a pool is called, if it has a name.
func called(a *layout.About) string {
	if a.Name == "" {
		return ""
	}
	return ", called " + a.Name
}

// briefly says what a pool is and why that is believed, in one line or two; base
// says where its dump begins.
func briefly(a *layout.About, base string) string {
	lay, _, options := strings.Cut(a.Layout, ", LOSCFG_")
	var why []string
	if a.Seen > 0 {
		why = append(why, report.Fit(a))
	}
	if base != "" {
		why = append(why, base)
	}
	if options || len(a.Evidence) > 0 {
		why = append(why, "more: --verbose")
	}
	return lay + called(a) + evidenceMark + strings.Join(why, "; ")
}

// resume shows progress again, once that was stopped.
func (d *dump) resume(cmd *cobra.Command, path string) {
	d.progress.stop()
	d.progress = startProgress(cmd, path)
	d.source.progress = d.progress
}

// sayPlace says where the program was loaded, if that was not where its file says.
func (d *dump) sayPlace(file string) {
	switch p := &d.placed; {
	case p.other != nil:
		d.warnings = append(d.warnings, fmt.Sprintf("names of functions are wrong: %s is not the build that was running: %v", file, p.other))
	case p.why != nil:
		d.warnings = append(d.warnings, fmt.Sprintf("names of functions may be wrong: where %s was loaded is not known: %v", file, p.why))
	case p.bias != 0:
		d.notes = append(d.notes, fmt.Sprintf("%s was loaded at %s: call stacks have the addresses in its file", file, p.bias))
	}
}

// A watchedPool is a pool whose walks can be watched and interrupted, and whose
// call stacks are translated.
type watchedPool struct {
	layout.Pool
	d *dump
}

// A checkedPool is a pool whose walks report even if nobody asks.
type checkedPool struct {
	layout.Pool
	report func(*heap.Finding)
}

// Walk implements layout.Pool.
func (c *checkedPool) Walk(visit func(*heap.Node) bool, report func(*heap.Finding)) layout.Survey {
	if report == nil {
		report = c.report
	}
	return c.Pool.Walk(visit, report)
}

// checkEach is how many nodes are walked between two looks at the context.
const checkEach = 1 << 12

// Walk implements layout.Pool.
func (w *watchedPool) Walk(visit func(*heap.Node) bool, report func(*heap.Finding)) layout.Survey {
	n, seen := 0, int64(0)
	w.d.progress.next(int64(w.About().Span.Len()))
	if visit != nil {
		visit = w.d.placed.visitor(visit)
	}
	if report != nil {
		report = w.d.placed.reporter(report)
	}
	return w.Pool.Walk(func(node *heap.Node) bool {
		if n++; n%checkEach == 0 {
			if w.d.ctx.Err() != nil {
				return false
			}
			at := int64(node.Addr - w.About().Span.Start)
			w.d.progress.read.Add(at - seen)
			seen = at
		}
		return visit == nil || visit(node)
	}, report)
}

// explainImage adds what to do next to an error about a file.
func explainImage(cmd *cobra.Command, path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: give the file that the memory was dumped to", err)
	case strings.Contains(err.Error(), "an ELF file, but no core"):
		return fmt.Errorf("%w\ngive the dump, and the ELF file with --symbols %s", err, path)
	case errors.Is(err, image.ErrTooLarge) && (path == "-" || special(path)):
		return fmt.Errorf("%w: save it in a file, which need not fit into memory", err)
	case errors.Is(err, image.ErrTooLarge):
		return fmt.Errorf("%w: unpack it into a file, which need not fit into memory", err)
	}
	return err
}

// explain says of an error what was searched and what else can be tried.
func (d *dump) explain(flags *memoryFlags, h *layout.Hints, symbols string, err error) error {
	if d.ctx.Err() != nil || errors.Is(err, image.ErrShrunk) {
		return cmp.Or(d.ctx.Err(), err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: no heap found in %d bytes of memory (%s%s)", d.name, d.image.Size(), d.image.Format(), d.where())
	if flags.pool.given {
		fmt.Fprintf(&b, "\nlooked at %s only, as --pool says", flags.pool.addr)
	}
	fmt.Fprintf(&b, "\nlooked for the allocators: %s", strings.Join(systems(flags), ", "))
	for _, w := range d.warnings {
		b.WriteString("\nwarning: " + w)
	}
	for _, n := range slices.Concat(d.notes, d.searched) {
		b.WriteString("\nnote: " + n)
	}
	b.WriteString("\nwhat may help:")
	for _, path := range poolFiles(d.image.Mappings()) {
		fmt.Fprintf(&b, "\n  give the file %s itself: the process had a pool in it, and pools in files are not in cores", path)
	}
	unbased := d.unbased || d.image.Format() == "raw" && !flags.base.given
	b.WriteString(d.blame(flags, *h))
	if unbased {
		b.WriteString("\n  --base ADDR      the address that the dump begins at")
	}
	if !flags.pool.given {
		where := "where the heap begins"
		if symbols == "" {
			where += " (m_aucSysMem1 in a map file)"
		}
		b.WriteString("\n  --pool ADDR      " + where)
	}
	if h.Program == nil {
		b.WriteString("\n  --symbols FILE   the ELF file of the firmware")
	}
	if flags.config == "" {
		b.WriteString("\n  --config FILE    the .config it was built with")
	}
	if d.textual() {
		fmt.Fprintf(&b, "\n%s looks like text: a console log is given without these flags", d.name)
	} else if d.image.Format() == "raw" && !flags.given() {
		b.WriteString("\nif it was to be a console log: this is no text; check what was captured, and the baud rate")
	}
	return errors.New(b.String())
}

// textual reports whether a raw dump looks like a console log.
func (d *dump) textual() bool {
	spans := d.image.Spans()
	return d.image.Format() == "raw" && len(spans) > 0 && !isMemory(spans[0].Bytes[:min(len(spans[0].Bytes), sampleSize)])
}

// where says in a clause which addresses the image has.
func (d *dump) where() string {
	spans := d.image.Spans()
	switch {
	case d.unbased:
		return ", address unknown"
	case len(spans) == 0:
		return ""
	case len(spans) == 1:
		return fmt.Sprintf(", from %s on", spans[0].Addr)
	}
	return fmt.Sprintf(", %d pieces from %s on", len(spans), spans[0].Addr)
}

// systems are the allocators that are looked for.
func systems(flags *memoryFlags) []string {
	if flags.system != "" {
		return []string{flags.system}
	}
	return layout.Systems()
}
