// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "observe/go/build_info.h"
#include "observe/go/code.h"
#include "observe/go/globals.h"
#include "observe/go/layout.h"
#include "observe/go/pclntab.h"
#include "observe/go/reason_tables.h"
#include "observe/go/symbols.h"

namespace mapshift::observe::go {
namespace {

constexpr size_t kLongestWanted = 64;  // bytes of a function's name, its end included

using Places = std::map<std::string, Code::Place, std::less<>>;

struct Wanted {
  Target target;
  std::string_view name;
  bool exact;  // a call must not be counted twice
};

constexpr Wanted kWanted[] = {
    {Target::kStartTheWorld, "runtime.startTheWorldWithSema", true},
    {Target::kStopTheWorld, "runtime.stopTheWorldWithSema", true},
    {Target::kHistogramRecord, "runtime.(*timeHistogram).record", true},
    // gcStart() is called by everybody who finds the heap large enough, and most find that another one was first. It calls
    // startCycle() once for each cycle, when the world has stopped.
    {Target::kGcStart, "runtime.(*gcControllerState).startCycle", true},
    {Target::kGcMarkTermination, "runtime.gcMarkTermination", true},
    {Target::kCasgstatus, "runtime.casgstatus", false},
    {Target::kNetpollReady, "runtime.netpollready", false},
    {Target::kFdRead, "internal/poll.(*FD).Read", false},
    {Target::kFdWrite, "internal/poll.(*FD).Write", false},
};
static_assert(std::size(kWanted) == kTargets);

bool wanted(const std::vector<std::string_view>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Result<std::pair<Places, uint64_t>> places_of(ElfImage& image) {
  MS_TRY(const auto table, PclnTable::read(image));
  Places out;
  for (uint32_t i = 0; i < table.size(); ++i) {
    const auto entry = table.at(i);
    if (!entry) continue;
    const auto name = table.name(entry->name, kLongestWanted);
    if (name && wanted(Code::wanted(), *name)) out.try_emplace(std::string(*name), Code::Place{entry->address, entry->size});
  }
  return std::pair(std::move(out), table.text_start());
}

struct SymbolTable {
  bool present = false;
  DataSymbols data;
  Places functions;
  uint64_t text_start = 0;
};

Result<SymbolTable> symbols_of(const ElfImage& image) {
  SymbolTable out;
  MS_TRY(out.present, for_each_symbol(image, [&](const Symbol& symbol) {
           if (symbol.name == "runtime.text") out.text_start = symbol.address;
           if (!symbol.function && wanted(wanted_symbols(), symbol.name)) {
             out.data.try_emplace(std::string(symbol.name), DataSymbol{symbol.address, symbol.size});
           } else if (symbol.function && wanted(Code::wanted(), symbol.name)) {
             out.functions.try_emplace(std::string(symbol.name), Code::Place{symbol.address, symbol.size});
           }
         }));
  return out;
}

// Debugging information first: it is of this very build. Then what is known of the version.
Result<Layout> choose_layout(const ElfImage& image, Binary& binary, StructLayouts& structs) {
  std::string why = "the executable has no debugging information";
  auto read = read_structs(image, wanted_structs());
  if (read) {
    structs = std::move(*read);
    if (const auto layout = layout_from(structs)) {
      binary.has_dwarf = true;
      return *layout;
    }
    why = "its debugging information does not describe the runtime";
  } else if (read.error().code != ErrorCode::kNotFound) {
    why = "its debugging information cannot be read (" + read.error().message + ")";
    binary.missing.push_back(why);
  }
  if (const auto layout = layout_of(binary.version)) return *layout;
  return fail(ErrorCode::kUnsupported, "the runtime of " + binary.version.text + " is not known here, and " + why +
                                           "; build the program without -ldflags -w or with a released Go to 1." +
                                           std::to_string(kNewestKnownMinor));
}

void find_globals(ElfImage& image, Code& code, const SymbolTable& symbols, const StructLayouts& structs, Binary& binary) {
  Globals& out = binary.globals;
  // Each source is checked by itself, so that a wrong address of one leaves room for another's.
  for (const auto& found : {globals_by_symbol(symbols.data, structs), globals_by_code(code, binary.layout),
                            globals_by_table(symbols.data, binary.layout)}) {
    Globals checked = found;
    drop_impossible(checked, image, binary.layout.histogram_size);
    merge_globals(out, checked);
  }
  find_reason_tables(image, code, symbols.data, out);
  const auto say = [&](uint64_t address, const char* what) {
    if (address == 0) binary.missing.push_back(std::string(what) + " was not found in the executable");
  };
  say(out.time_to_run, "the histogram of scheduling latencies");
  if (binary.version.minor >= 22) {
    say(out.stopping_gc, "the histogram of the times to stop the world for collections");
    say(out.stopping_other, "the histogram of the times to stop the world for other reasons");
    say(out.total_gc, "the histogram of the world's stops for collections");
    say(out.total_other, "the histogram of the world's stops for other reasons");
  } else {
    say(out.pause_gc_old, "the histogram of collection pauses");
  }
  say(out.allgs, "the list of goroutines");
  say(out.allglen, "the number of goroutines");
  say(out.heap_live, "the size of the live heap");
  say(out.gc_cycles, "the number of collections");
  say(out.wait_reasons, "the table of wait reasons");
  if (binary.version.minor >= 21) say(out.stw_reasons, "the table of reasons to stop the world");
}

void find_targets(Code& code, Binary& binary) {
  for (const auto& one : kWanted) {
    auto& target = binary.targets[static_cast<size_t>(one.target)];
    target = code.function(one.name, one.exact);
    if (!target) binary.missing.push_back("the function " + std::string(one.name) + " was not found, or not understood");
  }
}

}  // namespace

Result<Binary> analyse(int fd) {
  MS_TRY(auto image, ElfImage::open(fd));
  MS_TRY(auto info, read_build_info(image));
  const Arch* arch = arch_for(image.machine());
  if (arch == nullptr) {
    return fail(ErrorCode::kUnsupported, "a program of " + info.version.text + " for ELF machine " +
                                             std::to_string(image.machine()) + "; only amd64 is served");
  }
  if (info.version.minor < kOldestMinor) {
    return fail(ErrorCode::kUnsupported, "a program of " + info.version.text + "; go1." + std::to_string(kOldestMinor) +
                                             " is the oldest that is served");
  }
  Binary out;
  out.version = std::move(info.version);
  out.main_module = std::move(info.main_module);
  out.arch = arch->name;
  out.pie = image.pie();
  out.cgo = info.cgo;
  StructLayouts structs;
  MS_TRY(out.layout, choose_layout(image, out, structs));

  auto symbols = symbols_of(image);
  if (!symbols) out.missing.push_back("the symbol table cannot be read (" + symbols.error().message + ")");
  SymbolTable table = symbols ? std::move(*symbols) : SymbolTable();
  out.has_symbols = table.present;
  auto places = places_of(image);
  if (!places && (table.functions.empty() || table.text_start == 0)) {
    auto error = std::move(places).error();
    if (error.code == ErrorCode::kNotFound) error.code = ErrorCode::kInvalid;  // every program of Go has one
    return fail(std::move(error));
  }
  out.text_start = places ? places->second : table.text_start;
  const Segment* segment = image.segment(out.text_start, 1);
  if (segment == nullptr) return fail(ErrorCode::kInvalid, "the executable is damaged: its code lies in no segment");
  out.segment_address = segment->address;
  out.segment_offset = segment->offset;

  Code code(image, *arch, places ? std::move(places->first) : std::move(table.functions));
  find_targets(code, out);
  find_globals(image, code, table, structs, out);
  return out;
}

Result<FunctionNames> FunctionNames::read(int fd) {
  MS_TRY(auto image, ElfImage::open(fd));
  FunctionNames out;
  const auto table = PclnTable::read(image);
  if (table) {
    const auto names = table->names();
    if (names.size() > kMaxNames) return fail(ErrorCode::kTooLarge, "the executable has more than 128 MiB of function names");
    out.names_.assign(names.begin(), names.end());
    out.rows_.reserve(table->size());
    for (uint32_t i = 0; i < table->size(); ++i) {
      if (const auto entry = table->at(i)) out.rows_.push_back({entry->address, entry->size, entry->name});
    }
  } else {
    MS_TRY(const bool present, for_each_symbol(image, [&](const Symbol& symbol) {
             if (!symbol.function || out.names_.size() + symbol.name.size() >= kMaxNames) return;
             out.rows_.push_back({symbol.address, symbol.size, static_cast<uint32_t>(out.names_.size())});
             out.names_.append(symbol.name).push_back('\0');
           }));
    if (!present) return fail(table.error());
  }
  std::sort(out.rows_.begin(), out.rows_.end(), [](const Row& a, const Row& b) { return a.address < b.address; });
  return out;
}

std::optional<std::string> FunctionNames::at(uint64_t address) const {
  auto row = std::upper_bound(rows_.begin(), rows_.end(), address, [](uint64_t a, const Row& b) { return a < b.address; });
  if (row == rows_.begin()) return std::nullopt;
  --row;
  if (address - row->address >= row->size || row->name >= names_.size()) return std::nullopt;
  const auto end = names_.find('\0', row->name);
  std::string out = names_.substr(row->name, std::min(end == std::string::npos ? kMaxName : end - row->name, kMaxName));
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return out;
}

}  // namespace mapshift::observe::go
