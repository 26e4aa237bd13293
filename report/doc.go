// Package report writes what analyses found: as text for people, as JSON for
// programs, and in the formats of other tools.
//
// Every function writes one document and returns the first error of the
// writer. Nothing here looks at the environment: the caller says how wide the
// text may be and whether colours are welcome.
//
// # JSON
//
// Fields may be added, none will be renamed or removed;
// readers should ignore those they do not know. Addresses are strings,
// "0x2b94c". Lists are never null except where it says so.
//
// Call sites and findings (leaks, memused -g), one site and one finding per
// line:
//
//	{
//	  "listings": 7,                    number of listings
//	  "sites_total": 26,                number of call sites; fewer may follow (--top)
//	  "sites": [{
//	    "rank": 1,                      from 1
//	    "verdict": "CONFIRMED",         or SUSPECT, INCONCLUSIVE, STABLE; "": not judged
//	    "reason": "...",                why, as a clause
//	    "pool": "",                     empty: the only or main pool
//	    "growth": 83,                   nodes, last compared listing minus first
//	    "nodes": [19,32,49,...],        per listing; null: the listing lacks the pool, or,
//	                                    of a pool in more than 1024 listings, is left out
//	    "bytes": [760,1280,...],        per listing; the list is null if sizes are unknown
//	    "leaked_nodes": 78,             0 unless confirmed or suspect
//	    "leaked_bytes": 6240,           null if sizes are unknown
//	    "nodes_per_hour": 4980,         rate of the leak; null if unknown
//	    "bytes_per_hour": 398400,       null if unknown
//	    "p": 1e-9,                      chance that a site that frees looks like this
//	    "baseline": false,              a baseline lists the site
//	    "suppressed": "",               the suppression that covers the site
//	    "interesting": 1,               index in stack of the caller that matters
//	    "held": ["..."],                how one of its nodes is reached, where it seems
//	                                    to leak and nothing of it is lost; else absent
//	    "stack": [{"addr":"0x2b94c","function":"f","file":"","line":0,"inlined":false}]
//	  }],
//	  "pools": [{"pool":"","first":1,"last":7,"complete":7,     listings compared
//	    "free":212992,                  bytes; null if unknown
//	    "exhaustion_seconds":7980       until the leaks have used them up; null if unknown
//	  }],
//	  "partial_listings": [3],          numbers from 1
//	  "skipped": 0,                     listings left out in front of them (--from): all
//	                                    numbers above count from behind these; those in
//	                                    notes, reasons and labels are the log's, which
//	                                    are greater by so much
//	  "unreferenced": {                 leaks only; absent: the last source is no dump
//	    "why": null,                    why it cannot be told; then all below is 0
//	    "gaps": "",                     where pointers may be that were not looked at
//	    "unaligned": false,             looked for at every byte offset
//	    "used": {"nodes":361,"bytes":405576},                   all used nodes
//	    "direct": {...},                no pointer leads to them
//	    "indirect": {...},              only lost ones lead to them
//	    "sites": [{"verdict":"CONFIRMED","pool":"","used":{...},"direct":{...},"indirect":{...},
//	      "through": {...},             what is lost with the direct ones, of any site
//	      "heads": [{"addr":"0x..","bytes":80,"through":{...}}],  the largest
//	      "stack": [...]
//	    }]
//	  },
//	  "findings": [...],                as below; leaks only
//	  "notes": ["..."]                  warnings in words
//	}
//
// Findings (damage). Fields about which nothing is known are absent:
//
//	{
//	  "findings": [{
//	    "summary": "...",               the finding as a sentence
//	    "kind": "header-damaged",       see heap.Kind
//	    "pool": "", "op": "free", "source": "a.log:81", "boot": 0, "task": "net",
//	    "node": "0x57040",              start of the node concerned
//	    "pointer": "0x..", "expected": "0x..",                  wrong pointers only
//	    "fields": [{"name":"magic","header":"0x41414141","backup":"0xfffa8fbf","differs":true}],
//	    "span": ["0x57040","0x57088"],  overwritten: first address, and the one behind the last
//	    "reach": "...",
//	    "subject": {...}, "previous": {...}, "culprit": {...},  nodes as in memused,
//	                                    with "state" and "owner_name"
//	    "culprit_reason": "...",
//	    "recovered": true, "repaired": true,
//	    "detail": "...", "cause": "...", "unseen": ["..."], "partial": "",
//	    "memory": [{"addr":"0x57030","bytes":"41414141..."}],
//	    "owners": {"7":"net"},
//	    "stack": [...],                 of the operation that noticed it
//	    "frames": ["0x..."],            frame pointers, a level of its calls each
//	    "first_free": [...]             of the first free, in a double free
//	  }],
//	  "notes": []
//	}
//
// Diff:
//
//	{
//	  "from": [{"label":"listing 1","source":"a.log:107","pool":"","partial":"","nodes":132}],
//	  "to": [...],
//	  "new": 257, "gone": 27, "kept": 105, "unknown": 0,        nodes
//	  "new_bytes": 20560, "gone_bytes": 2160,                   null if sizes are unknown
//	  "sites": [{"rank":1,"pool":"","growth":83,"new":["0x..."],"gone":["0x..."],"kept":19,
//	    "new_bytes":6640,"gone_bytes":0,                        null if sizes are unknown
//	    "stack":[...]
//	  }],
//	  "notes": []
//	}
//
// Checks of dumps (memcheck) and the used nodes of dumps (memused) have forms of
// their own: see CheckJSON and PoolsJSON. Call stacks of a program that is loaded
// elsewhere in each process hold the addresses in its file.
//
// Map, a cell and a group a line:
//
//	{
//	  "pools": [{
//	    "pool":"0x568c0","name":"0x568c0","layout":"...","by":"site",   or "owner"
//	    "stats": {...},                 the pool's totals, see heap.Stats
//	    "fragmentation":0.02,           share of the free bytes outside the largest free node
//	    "findings":0,"partial":"",
//	    "bytes": {"used":405012,"headers":10108,"free":16017144,"unknown":0,"pool":564},
//	    "drawn": ["0x568c0","0xbfeac"], what the cells cover; behind it is one free node
//	    "cell_size":432,                bytes
//	    "groups": [{"nodes":15,"bytes":164332,"stack":[...]}],  the most bytes first
//	    "sizes": [{"from":64,"used":{"nodes":105,"bytes":9000},"free":{...}}],  to twice that
//	    "cells": [{"addr":"0x..","used":0,"headers":0,"free":0,"unknown":0,"pool":0,
//	      "group":0,                    index in groups of the one with most; null: none
//	      "group_bytes":0,"findings":0}]
//	  }],
//	  "notes": []
//	}
//
// Explanations (explain); nodes are as in memused with "state":
//
//	{
//	  "addresses": [{
//	    "addr":"0x57044","where":"...","pool":"",
//	    "node":{...},"nearest":false,   true: the address is not in the node
//	    "damaged":false,"before":{...},"behind":{...},          null: none, or unknown
//	    "fields":[{"name":"magic","span":["0x..","0x.."],"value":"0x..","wrong":""}],
//	    "memory":{"addr":"0x..","bytes":"..."},"more_bytes":0,
//	    "words":[{"addr":"0x..","value":"0x..","text":"..."}],  what words point to
//	    "reachability":{"state":"reachable","why":"","path":["..."],
//	      "pointers":[{"addr":"0x..","value":"0x..","text":"..."}],"more_pointers":false},
//	    "findings":[...]
//	  }],
//	  "notes": []
//	}
//
// Nodes (memused), one node per line:
//
//	{
//	  "listings": [{
//	    "label":"listing 7","source":"a.log:1678","pool":"","partial":"",
//	    "nodes": [{"addr":"0x56bac","payload":"0x..","size":40,"total":80,"owner":3,"owner_name":"net",
//	               "birth":9,"stack":[...]}]
//	  }],                               what is unknown of payload, size, total, owner, birth is absent
//	  "notes": []
//	}
package report
