// SPDX-License-Identifier: Apache-2.0
#include "cli/options.h"

#include <CLI/CLI.hpp>
#include <cctype>
#include <sstream>

#include "base/clock.h"
#include "cli/exit_status.h"

namespace mapshift::cli {
namespace {

constexpr const char* kFooter = R"(
Exit status: 0 done; 1 refused, invalid or failed (what ran, runs untouched); 2 usage; 3 rolled back; 4 agent not reachable.
With --output json, stdout holds exactly one JSON document (changes --follow: one JSON object a line).

Examples:
  mapshift load flowmeter_v1.json --set IFACE=eth0
  mapshift plan flowmeter_v2.json --set IFACE=eth0
  mapshift update flowmeter_v2.json --set IFACE=eth0 --wait
  mapshift rollback flowmeter --reason "error rate is up"
  mapshift explain u-000012
  mapshift changes flowmeter/flows --follow
  mapshift go 4711)";

// "NAME=value"
bool split_setting(const std::string& text, std::string& name, std::string& value) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) return false;
  name = text.substr(0, equals);
  value = text.substr(equals + 1);
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_') return false;
  }
  return std::isdigit(static_cast<unsigned char>(name.front())) == 0;
}

class Grammar {
 public:
  Grammar() {
    app_.name("mapshift");
    app_.footer(kFooter);
    app_.set_version_flag("--version", std::string("mapshift ") + MS_VERSION);
    app_.fallthrough();  // global options may also follow the command
    app_.require_subcommand(1);
    app_.add_option("--agent", options_.agent, "Address of the agent's API (default: from RUN_DIR/agent.json)")
        ->type_name("ADDR");
    app_.add_option("--token-file", options_.token_file, "File with the API's token (default: RUN_DIR/token)")->type_name("FILE");
    app_.add_option("--run-dir", options_.run_dir, "Where the agent keeps agent.json and its token")
        ->type_name("DIR")
        ->capture_default_str();
    app_.add_option("--output", output_, "text or json")->check(CLI::IsMember({"text", "json"}))->capture_default_str();
    add_manifest_commands();
    add_decisions();
    add_views();
    add_checks();
  }

  Parsed parse(int argc, const char* const* argv) {
    try {
      app_.parse(argc, argv);
      read_settings();
      options_.json = output_ == "json";
      return {options_, kDone, {}, {}};
    } catch (const CLI::ParseError& error) {
      std::ostringstream out;
      std::ostringstream err;
      const std::vector<std::string> rest = app_.remaining();
      if (app_.get_subcommands().empty() && !rest.empty()) err << "error: unknown command or option \"" << rest.front() << "\"\n";
      const bool asked = app_.exit(error, out, err) == 0;  // --help and --version
      return {std::nullopt, asked ? kDone : kUsage, out.str(), err.str()};
    }
  }

 private:
  CLI::App* add(CLI::App& parent, const std::string& name, Command command, const std::string& help) {
    CLI::App* sub = parent.add_subcommand(name, help);
    sub->callback([this, command] { options_.command = command; });
    return sub;
  }
  CLI::App* add_manifest(const std::string& name, Command command, const std::string& help, const std::string& example) {
    CLI::App* sub = add(app_, name, command, help);
    sub->add_option("MODULE.json", options_.target, "The module's manifest; or the name of one in the agent's module_dirs")->required();
    add_set(*sub);
    sub->footer("\nExample:\n  mapshift " + example);
    return sub;
  }
  void add_set(CLI::App& sub) {
    sub.add_option("--set", settings_, "Fill $NAME in the manifest; may be given several times")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false);
  }
  void add_manifest_commands() {
    add_manifest("load", Command::kLoad, "Load and attach a module's first generation",
                 "load flowmeter_v1.json --set IFACE=eth0");
    add_manifest("plan", Command::kPlan, "Show what an update would do; changes nothing",
                 "plan flowmeter_v2.json --set IFACE=eth0");
    CLI::App* update = add_manifest("update", Command::kUpdate, "Start an update to the manifest's version",
                                    "update flowmeter_v2.json --set IFACE=eth0 --bake 60s --wait");
    update->add_option("--bake", options_.bake, "How long the update is judged before it is committed, such as 60s")
        ->type_name("DURATION")
        ->check([](const std::string& text) {
          const Result<Nanos> duration = parse_duration(text);
          return duration ? std::string() : duration.error().message;
        });
    update->add_flag("--wait", options_.wait, "Follow the update to its end");
    update->add_option("--if-generation", options_.if_generation, "Only when this generation is the active one")
        ->type_name("N")
        ->check([](const std::string& text) {
          const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
          return digits ? std::string() : "\"" + text + "\" is not the number of a generation";
        });
    update->add_flag("--allow-lossy", options_.allow_lossy, "Accept what the plan says would be lost");
    update->add_flag("--force-quarantined", options_.force_quarantined, "Start although an automatic rollback quarantined this object file");
  }
  CLI::App* add_module(const std::string& name, Command command, const std::string& help, bool required) {
    CLI::App* sub = add(app_, name, command, help);
    CLI::Option* module = sub->add_option("MODULE", options_.target, "Name of the module");
    if (required) module->required();
    return sub;
  }
  void add_decisions() {
    for (CLI::App* sub : {add_module("rollback", Command::kRollback, "Roll the module's running update back, now", true),
                          add_module("commit", Command::kCommit, "Commit the module's running update, now", true),
                          add_module("abort", Command::kAbort, "Abort the module's running update, now", true)}) {
      sub->add_option("--reason", options_.reason, "Why; kept in the update's record")->type_name("TEXT");
    }
    add_module("unload", Command::kUnload, "Detach and remove a module", true);
    CLI::App* adopt = add_module("adopt", Command::kAdopt, "Take over programs that somebody else attached, as a new module", true);
    adopt->add_option("--link", options_.links, "Ids of their links (bpftool link); may be given several times")->type_name("ID[,ID...]")->delimiter(',')->allow_extra_args(false)->required();
    adopt->add_option("--program", options_.program, "Only when the first link runs this program: ids are given out again")->type_name("ID");
    CLI::Option* manifest = adopt->add_option("--manifest", options_.manifest, "A manifest of what runs, with its object file: for whole names and inferred merges")->type_name("FILE");
    add_set(*adopt);
    adopt->get_option("--set")->needs(manifest);
    adopt->footer("\nNothing that runs is changed; the next update is like any other.\n\nExamples:\n  mapshift adopt flowmeter --link 17\n"
                  "  mapshift adopt flowmeter --link 17,18 --program 93 --manifest flowmeter_v1.json --set IFACE=eth0");
  }
  void add_views() {
    add_module("status", Command::kStatus, "What is: all modules, or one in detail", false);
    add_module("history", Command::kHistory, "What was: updates, newest first", false);
    CLI::App* explain = add(app_, "explain", Command::kExplain, "Why: the story of one update");
    explain->add_option("UPDATE", options_.target, "Id of the update, such as u-000012")->required();
    add_changes();
    add_go();
  }
  void add_changes() {
    CLI::App* changes = add(app_, "changes", Command::kChanges, "Changes of one map: those since a version, or as they happen");
    changes->add_option("MODULE/MAP", options_.target, "A map that changes.maps of the agent's configuration names")
        ->required()
        ->check([](const std::string& text) {
          const size_t slash = text.find('/');
          const bool two = slash != std::string::npos && slash > 0 && slash + 1 < text.size() && text.find('/', slash + 1) == std::string::npos;
          return two ? std::string() : "\"" + text + "\" is not MODULE/MAP";
        });
    changes->add_option("--since", options_.since, "Begin after the change with this number, or at this version of the map")
        ->type_name("SEQ")
        ->check([](const std::string& text) {
          const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
          return digits ? std::string() : "\"" + text + "\" is not the number of a change";
        });
    changes->add_flag("--follow", options_.follow, "Go on with what comes, until interrupted; resumes when the agent was away");
    changes->footer(
        "\nA line that says resync: not all is known of what happened before; read the map again.\n"
        "With --follow and --output json, stdout has one JSON object a line.\n\n"
        "Examples:\n"
        "  mapshift changes flowmeter/flows --follow\n"
        "  mapshift changes flowmeter/flows --since 1882518926131200\n"
        "  mapshift --output json changes flowmeter/flows --follow | jq .op");
  }
  void add_go() {
    CLI::App* go = add(app_, "go", Command::kGo, "Go processes: pauses, latencies, goroutines; all, or one in detail");
    go->add_option("PID", options_.target, "Process id; its goroutines are counted now")->check([](const std::string& text) {
      const bool pid = !text.empty() && text.size() <= 10 && text.find_first_not_of("0123456789") == std::string::npos;
      return pid ? std::string() : "\"" + text + "\" is not the id of a process";
    });
    go->footer("\nExamples:\n  mapshift go\n  mapshift go 4711\n  mapshift go --output json | jq '.processes[] | {name, p99: .stw_pause.gc.p99}'");
  }
  void add_checks() {
    CLI::App* check = app_.add_subcommand("check", "Validate a file, or ask what this host serves, without an agent");
    check->require_subcommand(1);
    check->fallthrough();
    CLI::App* config = add(*check, "config", Command::kCheckConfig, "Validate the agent's configuration");
    config->add_option("FILE", options_.target, "The file")->required();
    CLI::App* module = add(*check, "module", Command::kCheckModule, "Validate a module's manifest and its object");
    module->add_option("FILE", options_.target, "The file")->required();
    add_set(*module);
    module->footer(
        "\nBeside what is wrong it warns of what will bite in the next version: counters that are not atomic, values without type\n"
        "information or with holes, wide fields written in place, gauges that do not say how they are merged.\n\n"
        "Examples:\n"
        "  mapshift check module flowmeter_v2.json --set IFACE=eth0\n"
        "  mapshift check module flowmeter_v2.json --output json | jq -r '.warnings[] | .code + \" \" + .where'");
    CLI::App* host = add(*check, "host", Command::kCheckHost, "What this host serves: attach types, map types, change sources, grace periods; by trying");
    host->footer("\nNeeds root, and leaves nothing behind.\n\nExamples:\n  mapshift check host\n"
                 "  mapshift check host --output json | jq -r '.attach_types[] | select(.served | not) | .name'");
    CLI::App* completion = add(app_, "completion", Command::kCompletion, "Print a completion script");
    completion->add_option("SHELL", options_.target, "The shell")->required()->check(CLI::IsMember({"bash"}));
    completion->footer("\nExample:\n  mapshift completion bash > /etc/bash_completion.d/mapshift");
  }
  void read_settings() {
    for (const std::string& setting : settings_) {
      std::string name;
      std::string value;
      if (!split_setting(setting, name, value)) throw CLI::ValidationError("--set", "\"" + setting + "\" is not NAME=VALUE");
      if (!options_.set.emplace(name, value).second) throw CLI::ValidationError("--set", name + " is given twice");
    }
  }

  CLI::App app_{"Hot-updates stateful eBPF programs with nothing lost."};
  Options options_;
  std::string output_ = "text";
  std::vector<std::string> settings_;
};

}  // namespace

Parsed parse_options(int argc, const char* const* argv) { return Grammar().parse(argc, argv); }

}  // namespace mapshift::cli
