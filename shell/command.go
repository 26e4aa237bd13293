package shell

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/heapwright/heapwright"
)

// A command is a row of the table that the shell is made of.
type command struct {
	name    string
	aliases []string
	args    string // arguments, for the usage line
	most    int    // number of arguments at most
	flags   []flag
	help    string // the first line is the summary
	example string
	// words returns what an argument can be, for completion; may be nil.
	words func(*session) []string
	run   func(*call) error
}

// commands is the table, in the order in which help lists it.
var commands []command

func init() {
	// Not in the declaration: help reads the table.
	commands = []command{
		{
			name: "memused",
			flags: []flag{
				{'g', "", "count nodes by call stack, most bytes first"},
				{'v', "", "payload, size, age, owner, and who allocated it"},
				{'n', "N", "show at most N rows; 0 is all, as is the default without -g"},
			},
			help: `list the used nodes
Prints what LiteOS prints: a row for each used node, its address and the call
stack recorded when it was allocated, innermost level first, 0 where the stack
was shallower. Without leak check in the pool there are no stacks.
With -g and -v sizes are bytes: -g counts whole nodes, headers included, -v
shows the size that was asked for. Nodes that keep increasing are a leak: mark
and diff show which.`,
			example: "memused -g -n 5",
			run:     (*call).memused,
		},
		{
			name: "mark",
			args: "[NAME]", most: 1,
			flags: []flag{{'d', "", "drop the mark"}},
			help: `remember which nodes are used now
The name is "mark" if none is given; a mark of that name is replaced. diff shows
what has changed since. All sessions of this shell share the marks.`,
			example: "mark before-load",
			words:   (*session).markNames,
			run:     (*call).mark,
		},
		{
			name:    "marks",
			help:    "list the marks of the pool",
			example: "marks",
			run:     (*call).listMarks,
		},
		{
			name:    "diff",
			aliases: []string{"since"},
			args:    "[NAME]", most: 1,
			flags: []flag{{'n', "N", "show at most N call stacks; 0 is all"}},
			help: `show what is new since a mark, and what is gone
By call stack: those that gained the most nodes first. Bytes are the change in
whole nodes, headers included. Without a name it is the newest mark of the pool.
Call stacks that gain as many nodes as they lose only churn; those that gain and
lose none leak, unless they fill a cache. What the same call stack freed and
allocated again at the same address within 10 ms passes for unchanged.`,
			example: "diff before-load",
			words:   (*session).markNames,
			run:     (*call).diff,
		},
		{
			name:  "memcheck",
			flags: []flag{{'s', "", "a line for each finding, without details"}},
			help: `check the integrity of the pool
Examines every control header and its backup, the links between neighbours, the
free structures and the totals. Nothing is repaired: the next operation that
needs a damaged node does that. For each finding: the damaged header next to its
backup, the node in front of the damage, and who probably did it.`,
			example: "memcheck -s",
			run:     (*call).memcheck,
		},
		{
			name: "free",
			flags: []flag{
				{'k', "", "in KiB"},
				{'m', "", "in MiB"},
			},
			help: `show how much memory the pool has, in bytes
The second table holds the sizes of this program's sections, where its file
tells.`,
			example: "free -k",
			run:     (*call).free,
		},
		{
			name: "memstat",
			help: `show the totals of the pool
The first table is LiteOS's; on a terminal that is too narrow for it, a list.
Sizes are bytes. Used sizes include node headers; overhead is what the pool uses
beyond what was asked for; fragmentation is the share of free memory that is not
in the largest free node.`,
			example: "memstat",
			run:     (*call).memstat,
		},
		{
			name:    "pools",
			aliases: []string{"pool"},
			args:    "[NAME|#N]", most: 1,
			help: `list the open pools, or switch to another
The current one is starred. Each session has its own. To look at another pool
once, give any command -p NAME or -p #N.`,
			example: "pool cache",
			words:   (*session).poolNames,
			run:     (*call).pools,
		},
		{
			name: "release",
			help: `give free memory back to the operating system
What is free is coalesced, and every whole page of it given back at once. The
pool can use it again at any time.`,
			example: "release",
			run:     (*call).release,
		},
		{
			name: "help",
			args: "[COMMAND]", most: 1,
			help:    "list the commands, or explain one",
			example: "help memused",
			words:   func(*session) []string { return names() },
			run:     (*call).help,
		},
		{
			name:    "exit",
			aliases: []string{"quit"},
			help: `end the session
So does Ctrl-D. The program goes on.`,
			example: "exit",
			run:     func(*call) error { return errExit },
		},
	}
}

// errExit ends a session.
var errExit = errors.New("exit")

// errNoPool is what commands say that need one.
var errNoPool = errors.New("no pool is open")

// everywhere are the flags of every command.
var everywhere = []flag{
	{'h', "", "explain the command"},
	{'p', "POOL", "look at this pool, by name or #N"},
}

func (c *command) flag(letter byte) *flag {
	for _, list := range [][]flag{c.flags, everywhere} {
		for i := range list {
			if list[i].letter == letter {
				return &list[i]
			}
		}
	}
	return nil
}

// synopsis is the usage line.
func (c *command) synopsis() string {
	var b strings.Builder
	b.WriteString(c.name)
	for _, f := range c.flags {
		if f.value == "" {
			fmt.Fprintf(&b, " [-%c]", f.letter)
		} else {
			fmt.Fprintf(&b, " [-%c %s]", f.letter, f.value)
		}
	}
	if c.args != "" {
		b.WriteString(" " + c.args)
	}
	return b.String()
}

func (c *command) summary() string {
	first, _, _ := strings.Cut(c.help, "\n")
	return first
}

// names returns the names of all commands, aliases included.
func names() []string {
	var all []string
	for i := range commands {
		all = append(append(all, commands[i].name), commands[i].aliases...)
	}
	return all
}

func lookup(name string) (*command, error) {
	for i := range commands {
		if c := &commands[i]; c.name == name || slices.Contains(c.aliases, name) {
			return c, nil
		}
	}
	return nil, fmt.Errorf("unknown command %q%s", name, suggest(name, names(), "help lists the commands"))
}

// call is one execution of a command.
type call struct {
	*session
	*bufio.Writer
	command *command
	pool    *heapwright.Pool // nil if none is open
	flags   given
	args    []string
}

func (c *call) printf(format string, args ...any) { fmt.Fprintf(c.Writer, format, args...) }

// arg returns the command's argument, "" if it has none.
func (c *call) arg() string {
	if len(c.args) == 0 {
		return ""
	}
	return c.args[0]
}

// exec executes one line.
func (s *session) exec(line string, w io.Writer) error {
	words, err := fields(line)
	if err != nil || len(words) == 0 {
		return err
	}
	cmd, err := lookup(words[0])
	if err != nil {
		return err
	}
	c := &call{session: s, Writer: bufio.NewWriterSize(w, 32<<10), command: cmd}
	if c.flags, c.args, err = cmd.split(words[1:]); err != nil {
		return err
	}
	if c.flags.has('h') {
		cmd.explain(c)
		return c.Flush()
	}
	if len(c.args) > cmd.most {
		return fmt.Errorf("%s takes no argument %q; usage: %s", words[0], c.args[cmd.most], cmd.synopsis())
	}
	if c.pool, err = s.current(c.flags['p']); err != nil {
		return err
	}
	if err := cmd.run(c); err != nil {
		if flushed := c.Flush(); flushed != nil {
			return flushed
		}
		return err
	}
	return c.Flush()
}

// current returns the pool named, or else the one that the session is on; nil
// if no pool is open.
func (s *session) current(name string) (*heapwright.Pool, error) {
	if name != "" {
		return s.find(name)
	}
	if s.pool != nil {
		return s.pool, nil
	}
	if open := heapwright.Pools(); len(open) > 0 {
		return open[0], nil
	}
	return nil, nil
}

func (c *call) help() error {
	if name := c.arg(); name != "" {
		cmd, err := lookup(name)
		if err != nil {
			return err
		}
		cmd.explain(c)
		return nil
	}
	width := 0
	for i := range commands {
		width = max(width, len(commands[i].title()))
	}
	for i := range commands {
		c.printf("%-*s  %s\n", width, commands[i].title(), commands[i].summary())
	}
	c.printf("\n\"help COMMAND\" explains one; -p POOL looks at another pool with any of them.\n")
	return nil
}

// title is the name with the arguments and the aliases.
func (c *command) title() string {
	s := c.name
	if c.args != "" {
		s += " " + c.args
	}
	if c.aliases != nil {
		s += " (" + strings.Join(c.aliases, ", ") + ")"
	}
	return s
}

// explain writes all there is to say about a command.
func (cmd *command) explain(c *call) {
	_, details, _ := strings.Cut(cmd.help, "\n")
	c.printf("%s: %s\n\nusage: %s\n", cmd.name, cmd.summary(), cmd.synopsis())
	for _, f := range append(slices.Clip(cmd.flags), everywhere...) {
		c.printf("  %-8s %s\n", strings.TrimSpace(fmt.Sprintf("-%c %s", f.letter, f.value)), f.help)
	}
	if cmd.aliases != nil {
		c.printf("also: %s\n", strings.Join(cmd.aliases, ", "))
	}
	if details != "" {
		c.printf("\n%s\n", details)
	}
	c.printf("\nexample: %s\n", cmd.example)
}
