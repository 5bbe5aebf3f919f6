// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/inner_form.h"
#include "kernel/kernel.h"

struct bpf_map;
struct bpf_object;
struct bpf_program;

namespace mapshift {

// One BPF object on its way into the kernel: opened, configured, loaded once. Closing it drops whatever is not pinned.
// Not thread-safe.
class Object {
 public:
  // `bytes` need not outlive the call.
  [[nodiscard]] static Result<Object> open(const std::string& path, const std::vector<std::byte>& bytes);

  // Applies what the request asks for, without the programs in `skipped`; all problems in one Error. Compares maps that are
  // reused: libbpf does not.
  [[nodiscard]] Status configure(const LoadRequest& request, const std::vector<std::string>& skipped);
  // Into the kernel. On failure `failed_program()` names the culprit, when it was a program.
  [[nodiscard]] Status load();
  [[nodiscard]] const std::string& failed_program() const { return failed_; }
  // The verifier's words about the failed program, possibly empty.
  [[nodiscard]] std::string verifier_log() const;
  // After load(): the manifest's program arrays.
  [[nodiscard]] Status fill_prog_arrays(const LoadRequest& request) const;
  // After load(): every table of functions, so that it can be attached.
  [[nodiscard]] Status fill_ops_tables() const;

  struct Loaded {
    std::string name;
    int fd = -1;  // owned by the object
    bool constant = false;  // .rodata and what libbpf fills in: written once, when the object is loaded
  };
  [[nodiscard]] std::vector<Loaded> maps() const;      // sections by their names in MapSpec
  [[nodiscard]] std::vector<Loaded> programs() const;  // that were loaded, and tables of functions
  // After load(): an empty map of the form of the maps inside, by the name of each map of maps. What the kernel does not make is left out.
  [[nodiscard]] std::vector<std::pair<std::string, Map>> templates() const;

 private:
  struct Close {
    void operator()(bpf_object* object) const;
  };
  Object(std::unique_ptr<bpf_object, Close> object, std::string path) : object_(std::move(object)), path_(std::move(path)) {}
  void give_log_buffers();
  void find_failed_program(const std::string& warnings);

  std::unique_ptr<bpf_object, Close> object_;
  std::string path_;
  std::vector<std::string> map_names_;  // in libbpf's order: it renames a map that reuses one of another name
  std::vector<InnerForm> inner_forms_;
  std::string failed_;
  std::map<std::string, std::unique_ptr<char[]>> logs_;  // by program; filled by the kernel on failure
};

// The name of a map in a MapSpec: sections lose what libbpf puts before them, dots become '_'.
[[nodiscard]] std::string map_name(const bpf_map* map);

}  // namespace mapshift
