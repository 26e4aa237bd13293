package image

import (
	"cmp"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

// DefaultMaxBytes is what Options.MaxBytes is if it is 0.
const DefaultMaxBytes = 4 << 30

// Options say how files are read. The zero value is fine for every file but a
// raw one whose address is known.
type Options struct {
	// Base is the address of the first byte of a raw file; nil: unknown. A
	// file of another kind is refused if it is given.
	Base *heap.Addr
	// Raw takes a file for raw memory whatever it looks like: memory may well
	// begin with a program or a packed file. A gzip file is not unpacked.
	Raw bool
	// MaxBytes bounds what packed files, text and pipes may take in memory,
	// in bytes for each step of each file; 0: DefaultMaxBytes. A file that
	// would take more is refused with an error that wraps ErrTooLarge. Files
	// that can be mapped are not subject to it.
	MaxBytes uint64
	// Copy reads files instead of mapping them, so that it does not matter
	// what happens to them afterwards.
	Copy bool
}

func (o *Options) setDefaults() {
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
}

// part is what one file holds.
type part struct {
	format   string
	file     []byte    // nil: text
	pieces   []Segment // in the order of the file; may overlap
	order    binary.ByteOrder
	machine  elf.Machine
	pointer  int
	threads  []Thread
	mappings []heap.Mapping
	partial  []string
	notes    []string
	raw      bool
	based    bool // raw ones only: the address is known
}

// Open reads the file at path, whose content tells what it is. A file of
// unknown kind is a raw one.
func Open(path string, o Options) (*Image, error) {
	return open([]string{path}, []*heap.Addr{o.Base}, o)
}

// OpenAll reads several files as one image: a core, and what it lacks; memory
// dumped in pieces. Each of paths may be followed by "@" and the address of a
// raw file's first byte in hexadecimal, "ram.bin@0x80000000"; with more than one
// path a raw file must have it, and Options.Base does not apply. Where files
// hold the same addresses the first counts. Files of different byte orders,
// machines or pointer sizes do not go together.
func OpenAll(paths []string, o Options) (*Image, error) {
	names := make([]string, len(paths))
	bases := make([]*heap.Addr, len(paths))
	for i, p := range paths {
		names[i], bases[i] = SplitBase(p)
	}
	switch {
	case len(paths) == 0:
		return nil, errors.New("no file")
	case len(paths) == 1 && bases[0] == nil:
		bases[0] = o.Base
	}
	return open(names, bases, o)
}

// SplitBase cuts a trailing "@0x..." off path. base is nil if there is none;
// then path is returned whole.
func SplitBase(path string) (name string, base *heap.Addr) {
	i := strings.LastIndexByte(path, '@')
	if i < 0 {
		return path, nil
	}
	digits, ok := strings.CutPrefix(path[i+1:], "0x")
	if !ok {
		return path, nil
	}
	v, err := strconv.ParseUint(digits, 16, 64)
	if err != nil {
		return path, nil
	}
	return path[:i], new(heap.Addr(v))
}

func open(paths []string, bases []*heap.Addr, o Options) (_ *Image, err error) {
	o.setDefaults()
	var contents []content
	defer func() {
		if err != nil {
			for _, c := range contents {
				c.close()
			}
		}
	}()
	parts := make([]*part, len(paths))
	for i, path := range paths {
		c, err := load(path, o)
		if err != nil {
			return nil, err
		}
		contents = append(contents, c)
		o.Base = bases[i]
		if err := guard(contents, func() (err error) { parts[i], err = decode(path, c.bytes, o); return }); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	var m *Image
	if err := guard(contents, func() (err error) { m, err = merge(paths, parts, o); return }); err != nil {
		return nil, err
	}
	m.contents = contents
	return m, nil
}

// Read reads what r yields up to its end, as Open does a file. name is what
// segments and errors call it.
func Read(name string, r io.Reader, o Options) (*Image, error) {
	o.setDefaults()
	b, err := readAll(r, 0, o.MaxBytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p, err := decode(name, b, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return merge([]string{name}, []*part{p}, o)
}

// decode makes of b, the content of a file, what it holds.
func decode(name string, b []byte, o Options) (*part, error) {
	if len(b) == 0 {
		return nil, errEmpty
	}
	format := Raw
	if !o.Raw {
		format = Recognise(b)
	}
	if format != Gzip {
		return decodeAs(format, name, b, o)
	}
	b, partial, err := unpack(b, o.MaxBytes)
	if err != nil {
		return nil, err
	}
	if len(b) == 0 {
		return nil, errEmpty
	}
	if format = Recognise(b); format == Gzip {
		return nil, errors.New("packed twice: unpack it first")
	}
	p, err := decodeAs(format, name, b, o)
	if err != nil {
		return nil, err
	}
	p.format += ", gzip"
	if partial != "" {
		p.partial = slices.Insert(p.partial, 0, partial)
	}
	return p, nil
}

func decodeAs(format Format, name string, b []byte, o Options) (p *part, err error) {
	switch format {
	case ELFCore:
		p, err = readCore(name, b)
	case IntelHex:
		p, err = readIntelHex(name, b, o.MaxBytes)
	case SRecords:
		p, err = readSRecords(name, b, o.MaxBytes)
	case Foreign:
		return nil, foreign(b)
	default:
		p, err = readRaw(name, b, o.Base)
	}
	if err != nil {
		return nil, err
	}
	if o.Base != nil && format != Raw {
		return nil, fmt.Errorf("it is %s, which has addresses of its own: leave out %s", format.article(), *o.Base)
	}
	p.format = string(format)
	return p, nil
}

func readRaw(name string, b []byte, base *heap.Addr) (*part, error) {
	s := Segment{Bytes: b, Name: name, Writable: true}
	if base != nil {
		s.Addr = *base
	}
	if err := fits(s.Addr, len(b)); err != nil {
		return nil, err
	}
	return &part{file: b, pieces: []Segment{s}, raw: true, based: base != nil}, nil
}

// merge makes one image of parts; names are their files'.
func merge(names []string, parts []*part, o Options) (*Image, error) {
	m := &Image{raw: len(parts) == 1 && parts[0].raw}
	m.based = !m.raw || parts[0].based
	if len(parts) == 1 {
		m.file = parts[0].file
	}
	var pieces []Segment
	for i, p := range parts {
		if p.raw && !p.based && len(parts) > 1 {
			return nil, fmt.Errorf("%s is a raw file: among several files it needs its address, as in %[1]s@0x80000000", names[i])
		}
		if err := m.add(p); err != nil {
			return nil, fmt.Errorf("%s does not belong to %s: %w", names[i], names[0], err)
		}
		prefix := ""
		if len(parts) > 1 {
			prefix = names[i] + ": "
		}
		for _, s := range p.partial {
			m.partial = append(m.partial, prefix+s)
		}
		for _, s := range p.notes {
			m.notes = append(m.notes, prefix+s)
		}
		pieces = append(pieces, p.pieces...)
	}
	slices.SortStableFunc(m.mappings, func(a, b heap.Mapping) int { return cmp.Compare(a.Start, b.Start) })
	var twice uint64
	if m.segments, twice = disjoint(pieces); twice > 0 {
		m.notes = append(m.notes, fmt.Sprintf("%d bytes of memory are there more than once: the first counts", twice))
	}
	if len(m.segments) == 0 {
		why := strings.Join(append(m.partial, m.notes...), "; ")
		if why != "" {
			why = ": " + why
		}
		return nil, fmt.Errorf("%s: no memory in it%s", strings.Join(names, ", "), why)
	}
	var apart int
	if m.spans, m.borders, apart = join(m.segments, o.MaxBytes); apart > 0 {
		m.notes = append(m.notes, fmt.Sprintf("%s of adjacent segments cannot be read across, for want of memory", plain.Plural(apart, "border")))
	}
	return m, nil
}

// add takes over everything of p but its memory.
func (m *Image) add(p *part) error {
	switch {
	case m.order != nil && p.order != nil && m.order != p.order:
		return fmt.Errorf("%v instead of %v", p.order, m.order)
	case m.pointer != 0 && p.pointer != 0 && m.pointer != p.pointer:
		return fmt.Errorf("%d-bit instead of %d-bit", 8*p.pointer, 8*m.pointer)
	case m.machine != 0 && p.machine != 0 && m.machine != p.machine:
		return fmt.Errorf("%v instead of %v", p.machine, m.machine)
	}
	if p.order != nil {
		m.order = p.order
	}
	m.pointer = max(m.pointer, p.pointer)
	m.machine = max(m.machine, p.machine)
	m.threads = append(m.threads, p.threads...)
	m.mappings = append(m.mappings, p.mappings...)
	if !slices.Contains(m.formats, p.format) {
		m.formats = append(m.formats, p.format)
	}
	return nil
}
