// Package shell is the console on pools: a person, or a program that speaks
// for one, types the commands of a LiteOS shell and reads what a pool answers.
//
// memused, memcheck and free print what LiteOS prints, to the letter, so that
// tools made for its console logs read these as well; flags ask for more. The
// commands are one table, from which help and completion come too.
//
// A session runs over any io.ReadWriter: standard input and output, a
// connection, a serial line. Nothing is written while a pool is locked, so a
// reader that stalls stalls its own session only.
package shell

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/heapwright/heapwright"
	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/symbol"
)

// DefaultPrompt is the prompt of a Config without one.
const DefaultPrompt = "heapwright # "

// maxMarks bounds the marks of a shell. A mark remembers every used node of
// its pool, some 100 bytes each.
const maxMarks = 16

// Config says what a shell works on. The zero Config is a shell on the pools of
// this process.
type Config struct {
	// Pool is the pool that sessions start with; nil is the oldest open one.
	// Sessions can switch to any open pool of the process.
	Pool *heapwright.Pool
	// Prompt stands in front of each line that a terminal reads; DefaultPrompt
	// if empty.
	Prompt string
	// PromptAlways prints the prompt also where the peer is not a terminal.
	PromptAlways bool
	// Width is how many columns tables of call stacks should fit into where the
	// peer is not a terminal; 0 is 80. What LiteOS prints is as wide as there.
	Width int
	// Symbols resolves call stacks; nil is this process.
	Symbols heap.Symbolizer
}

// Shell is a console. Its methods may be called from several goroutines at a
// time.
//
// Sessions share the marks, so that one can compare against what another has
// marked, and each has its own current pool.
type Shell struct {
	cfg Config

	mu      sync.Mutex
	marks   []mark // oldest first
	numbers map[*heapwright.Pool]int
	last    int // highest number given to a pool
}

// mark is a pool as it was.
type mark struct {
	name string
	pool *heapwright.Pool
	snap *heap.Snapshot
}

// New returns a shell.
func New(cfg Config) *Shell {
	if cfg.Prompt == "" {
		cfg.Prompt = DefaultPrompt
	}
	if cfg.Symbols == nil {
		cfg.Symbols = symbol.Process
	}
	return &Shell{cfg: cfg, numbers: map[*heapwright.Pool]int{}}
}

// Exec executes one command line on the pool that sessions start with, unless
// the line's -p flag names another, and writes the answer to w. The error is
// the command's, and has not been printed, or the writer's. An empty line does
// nothing.
func (s *Shell) Exec(line string, w io.Writer) error {
	return (&session{Shell: s, pool: s.cfg.Pool}).exec(line, w)
}

// numbered is an open pool with the number that names it in this shell, for as
// long as it is open: pools can have the same name.
type numbered struct {
	number int
	pool   *heapwright.Pool
}

// pools returns the open pools.
func (s *Shell) pools() []numbered {
	open := heapwright.Pools()
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []numbered
	for _, p := range open {
		if s.numbers[p] == 0 {
			s.last++
			s.numbers[p] = s.last
		}
		all = append(all, numbered{s.numbers[p], p})
	}
	for p := range s.numbers {
		if !slices.Contains(open, p) {
			delete(s.numbers, p)
		}
	}
	return all
}

// find returns the open pool with a name, or with a number as #N or N.
func (s *Shell) find(what string) (*heapwright.Pool, error) {
	var found []numbered
	var known []string
	all := s.pools()
	for _, n := range all {
		if n.pool.Name() == what {
			found = append(found, n)
		}
		known = append(known, n.pool.Name())
	}
	switch len(found) {
	case 1:
		return found[0].pool, nil
	case 0:
		for _, n := range all {
			if fmt.Sprint(n.number) == strings.TrimPrefix(what, "#") {
				return n.pool, nil
			}
		}
		return nil, fmt.Errorf("no open pool %q%s", what, suggest(what, known, "pools lists them"))
	}
	var numbers []string
	for _, n := range found {
		numbers = append(numbers, fmt.Sprintf("#%d", n.number))
	}
	return nil, fmt.Errorf("%d pools have the name %q: say %s", len(found), what, strings.Join(numbers, " or "))
}

// setMark keeps a snapshot under a name, in place of one that has the name.
func (s *Shell) setMark(m mark) error {
	open := heapwright.Pools()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks = slices.DeleteFunc(s.marks, func(o mark) bool {
		return !slices.Contains(open, o.pool) || o.pool == m.pool && o.name == m.name
	})
	if len(s.marks) >= maxMarks {
		return fmt.Errorf("there are %d marks, which is the most; mark -d NAME drops one", maxMarks)
	}
	s.marks = append(s.marks, m)
	return nil
}

// marksOf returns the marks of a pool, oldest first.
func (s *Shell) marksOf(p *heapwright.Pool) []mark {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []mark
	for _, m := range s.marks {
		if m.pool == p {
			all = append(all, m)
		}
	}
	return all
}

// dropMark reports whether there was one.
func (s *Shell) dropMark(p *heapwright.Pool, name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.marks)
	s.marks = slices.DeleteFunc(s.marks, func(m mark) bool { return m.pool == p && m.name == name })
	return len(s.marks) < n
}
