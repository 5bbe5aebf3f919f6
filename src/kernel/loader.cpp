// SPDX-License-Identifier: Apache-2.0
#include "kernel/loader.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <utility>

#include "kernel/digest.h"
#include "kernel/instance_name.h"
#include "kernel/libbpf_log.h"
#include "kernel/object.h"
#include "kernel/pin.h"

namespace mapshift {
namespace {

// libbpf is not made for hostile files: nothing but the planned bytes reaches it.
Result<std::vector<std::byte>> read_verified(const LoadRequest& request) {
  MS_TRY(auto bytes, read_file_bytes(request.object_path));
  const std::string digest = sha256_hex(bytes);
  if (digest == request.object_digest) return bytes;
  return fail(ErrorCode::kRefused, "the object file " + request.object_path +
      " changed since it was planned (its SHA-256 is " + digest +
                                       ", planned was " + request.object_digest + "); plan again");
}

// ".../flowmeter/gen/2" is "flowmeter-2".
std::string generation_label(const std::string& generation_dir) {
  const std::filesystem::path dir(generation_dir);
  return dir.parent_path().parent_path().filename().string() + "-" + dir.filename().string();
}

// Adds the log's end to the error, and says where all of it is.
Error explain(Error error, const Object& object, const LoadRequest& request) {
  const std::string log = object.verifier_log();
  if (log.empty()) return error;
  error.context = last_lines(log);
  if (request.log_dir.empty()) return error;
  const std::string path = request.log_dir + "/" + generation_label(request.generation_dir) + "-" + object.failed_program() +
      ".log";
  std::error_code ignored;
  std::filesystem::create_directories(request.log_dir, ignored);
  std::ofstream file(path, std::ios::trunc);
  file << log;
  file.close();
  error.message += file ? "; the verifier's whole log is in " + path : "; its log could not be written to " + path;
  return error;
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// An object loads as a whole or not at all: each optional program that fails costs one more try without it.
Result<Object> load_object(const LoadRequest& request, const std::vector<std::byte>& bytes, std::vector<std::string>& skipped) {
  while (true) {
    MS_TRY(Object object, Object::open(request.object_path, bytes));
    MS_CHECK(object.configure(request, skipped));
    const auto loaded = object.load();
    if (loaded) return object;
    const std::string& failed = object.failed_program();
    if (!contains(request.optional_programs, failed) || contains(skipped, failed)) {
      return fail(explain(loaded.error(), object, request));
    }
    skipped.push_back(failed);
  }
}

Status check_unused(const std::string& generation_dir) {
  for (const char* folder : {"/maps", "/progs"}) {
    MS_TRY(const auto pins, list_pins(generation_dir + folder));
    if (!pins.empty()) {
      return fail(ErrorCode::kConflict, generation_dir + folder + " holds pins already; remove that generation first");
    }
  }
  return {};
}

// One generation while it is loaded: once for each instance of the module, or once. What is pinned goes again unless kept.
class Generation {
 public:
  Generation(const LoadRequest& request, const std::vector<std::byte>& bytes) : request_(request), bytes_(bytes) {}

  // The first one's maps serve the others, but for those of which each has its own.
  Status load(const std::string& instance, bool first) {
    LoadRequest own = request_of(instance);
    if (!first) own.reuse.insert(shared_.begin(), shared_.end());
    const size_t skipped_before = skipped_.size();
    MS_TRY(const Object object, load_object(own, bytes_, skipped_));
    MS_CHECK(object.fill_prog_arrays(own));
    MS_CHECK(object.fill_ops_tables());
    if (first) {
      MS_CHECK(pins_.dir(maps_));
      MS_CHECK(pins_.dir(programs_));
    }
    MS_CHECK(pin_maps(object, instance, first));
    MS_CHECK(pin_programs(object, own, instance, first));
    for (size_t i = 0; i < skipped_.size(); ++i) {
      const bool often = request_.instance_programs.contains(skipped_[i]);
      if (often && own.hooks.contains(skipped_[i])) report_.skipped_programs.push_back(instance_name(skipped_[i], instance));
      else if (!often && i >= skipped_before) report_.skipped_programs.push_back(skipped_[i]);
    }
    return {};
  }

  LoadReport keep() && {
    pins_.keep();
    return std::move(report_);
  }

 private:
  // Under the names that the object itself has.
  [[nodiscard]] LoadRequest request_of(const std::string& instance) const {
    LoadRequest own = request_;
    const auto pick = [&](auto& named, const std::set<std::string>& often) {
      auto all = std::exchange(named, {});
      for (auto& [name, value] : all) {
        const std::string base(base_name(name));
        if (!often.contains(base) || instance_name(base, instance) == name) named.emplace(base, std::move(value));
      }
    };
    pick(own.hooks, request_.instance_programs);
    pick(own.reuse, request_.instance_maps);
    std::set<std::string> constants;
    for (const auto& [name, bytes] : request_.rodata)
      if (const std::string_view base = base_name(name); base != name) constants.emplace(base);
    pick(own.rodata, constants);
    return own;
  }

  Status pin_maps(const Object& object, const std::string& instance, bool first) {
    for (const auto& map : object.maps()) {
      const bool own = request_.instance_maps.contains(map.name);
      if (!own && !first) continue;
      const std::string path = maps_ + "/" + (own ? instance_name(map.name, instance) : map.name);
      MS_CHECK(pins_.pin(map.fd, path));
      if (!own && !map.constant) shared_[map.name] = path;
    }
    for (const auto& [outer, form] : object.templates()) {
      const bool own = request_.instance_maps.contains(outer);
      if (own || first) MS_CHECK(pins_.pin(form.fd(), template_pin(maps_ + "/" + (own ? instance_name(outer, instance) : outer))));
    }
    return {};
  }

  Status pin_programs(const Object& object, const LoadRequest& own, const std::string& instance, bool first) {
    for (const auto& program : object.programs()) {
      const bool often = request_.instance_programs.contains(program.name);
      if (often ? !own.hooks.contains(program.name) : !first) continue;
      const std::string name = often ? instance_name(program.name, instance) : program.name;
      MS_CHECK(pins_.pin(program.fd, programs_ + "/" + name));
      report_.programs.push_back(name);
    }
    return {};
  }

  const LoadRequest& request_;
  const std::vector<std::byte>& bytes_;
  const std::string maps_ = request_.generation_dir + "/maps", programs_ = request_.generation_dir + "/progs";
  PinGuard pins_;
  std::map<std::string, std::string> shared_ = {};  // pins by map
  std::vector<std::string> skipped_ = {};           // by their names in the object
  LoadReport report_ = {};
};

}  // namespace

Result<LoadReport> load_generation(const LoadRequest& request) {
  MS_CHECK(check_unused(request.generation_dir));
  MS_TRY(const auto bytes, read_verified(request));
  Generation generation(request, bytes);
  if (request.instances.empty()) MS_CHECK(generation.load("", true));
  for (size_t i = 0; i < request.instances.size(); ++i) MS_CHECK(generation.load(request.instances[i], i == 0));
  return std::move(generation).keep();
}

}  // namespace mapshift
