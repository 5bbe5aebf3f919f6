// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Where a map and its changes are read.
type source struct {
	agent, token, module, name string
}

type entry struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

func (s *source) get(path string, timeout time.Duration) (*http.Response, error) {
	request, err := http.NewRequest(http.MethodGet, "http://"+s.agent+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(s.token))
	client := http.Client{Timeout: timeout}
	response, err := client.Do(request)
	if err == nil && response.StatusCode != http.StatusOK {
		response.Body.Close()
		err = fmt.Errorf("%s: %s", path, response.Status)
	}
	return response, err
}

// Reads the whole map, with the version that it has at least.
func (s *source) read(into *cache) error {
	response, err := s.get("/api/v1/maps/"+url.PathEscape(s.module)+"/"+url.PathEscape(s.name), 10*time.Second)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var contents struct {
		Version uint64  `json:"version"`
		Values  bool    `json:"values"`
		Entries []entry `json:"entries"`
	}
	if err := json.NewDecoder(response.Body).Decode(&contents); err != nil {
		return err
	}
	if !contents.Values {
		return fmt.Errorf("the agent's configuration does not let values of %s/%s out", s.module, s.name)
	}
	entries := map[uint32]uint32{}
	for _, one := range contents.Entries {
		key, number, err := one.numbers()
		if err != nil {
			return err
		}
		entries[key] = number
	}
	into.replace(contents.Version, entries)
	return nil
}

func (e entry) numbers() (key, number uint32, err error) {
	k, err := hex.DecodeString(e.Key)
	if err == nil && len(k) != 4 {
		err = fmt.Errorf("key %q has not 4 bytes", e.Key)
	}
	if err != nil {
		return
	}
	key = binary.LittleEndian.Uint32(k)
	v, err := hex.DecodeString(e.Value)
	if len(v) >= 4 {
		number = binary.LittleEndian.Uint32(v)
	}
	return
}

// Follows the stream until `stop` is closed, over as many connections as it takes.
func (s *source) follow(into *cache, stop <-chan struct{}) {
	for first := true; ; first = false {
		select {
		case <-stop:
			return
		default:
		}
		if !first {
			into.count(&into.measured.Reconnects)
			time.Sleep(50 * time.Millisecond)
		}
		query := url.Values{"module": {s.module}, "map": {s.name}, "since": {fmt.Sprint(into.at())}}
		response, err := s.get("/api/v1/changes?"+query.Encode(), 0)
		if err != nil {
			continue
		}
		s.consume(response, into)
		response.Body.Close()
	}
}

func (s *source) consume(response *http.Response, into *cache) {
	var kind, data string
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		switch line := lines.Text(); {
		case strings.HasPrefix(line, "event: "):
			kind = line[len("event: "):]
		case strings.HasPrefix(line, "data: "):
			data = line[len("data: "):]
		case line == "" && kind != "":
			if !s.handle(kind, data, into) {
				return
			}
			kind, data = "", ""
		}
	}
}

func (s *source) handle(kind, data string, into *cache) bool {
	if kind == "resync" {
		into.count(&into.measured.Resyncs)
		return s.read(into) == nil
	}
	var change struct {
		entry
		Seq uint64 `json:"seq"`
		Op  string `json:"op"`
	}
	if json.Unmarshal([]byte(data), &change) != nil {
		return false
	}
	key, number, err := change.numbers()
	if err != nil {
		return false
	}
	into.apply(change.Seq, change.Op, key, number)
	return true
}
