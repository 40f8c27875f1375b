#include "analysis/export/tables.h"

namespace hvsim::analysis {
namespace {

constexpr ColumnKind kInteger = ColumnKind::integer, kWord = ColumnKind::word,
                     kText = ColumnKind::text;

constexpr std::array kTrace{
    Column{"name", kText, "", "what is told"},
    Column{"value", kText, "", "scenario, program version, virtual time at the start"},
};
constexpr std::array kStatistics{
    Column{"name", kText, "", "dotted"},
    Column{"value", kInteger, "", "at the end of the run"},
    Column{"unit", kText, "", "of the value"},
    Column{"description", kText, "", "what is counted"},
};
constexpr std::array kProcessorSpans{
    Column{"lp", kInteger, "", "logical processor"},
    Column{"mode", kText, "",
           "guest: a virtual processor runs; hypervisor: it handles an exit; switching: it changes "
           "the virtual processor; idle: nothing can run"},
    Column{"partition", kInteger, "", "guest, hypervisor: whose virtual processor"},
    Column{"vp", kInteger, "", "guest, hypervisor: virtual processor within its partition"},
    Column{"reason", kText, "", "hypervisor: reason of the exit"},
    Column{"begin_ps", kInteger, "ps", "virtual time"},
    Column{"end_ps", kInteger, "ps", "virtual time"},
};
constexpr std::array kExits{
    Column{"partition", kInteger, "", "partition; nothing: a bare machine's own guest"},
    Column{"vp", kInteger, "", "virtual processor within its partition"},
    Column{"lp", kInteger, "", "logical processor at the exit"},
    Column{"reason", kText, "", "by name, or its number"},
    Column{"detail", kText, "", "the first hypercall, MSR or port that was handled, by name"},
    Column{"begin_ps", kInteger, "ps", "virtual time of the exit"},
    Column{"end_ps", kInteger, "ps", "virtual time of the entry after it; nothing: there was none"},
    Column{"cost_ps", kInteger, "ps", "work of processor and hypervisor, without waiting"},
    Column{"rip", kWord, "", "of the guest"},
    Column{"qualification", kWord, "", "exit qualification, or EXITINFO1"},
    Column{"guest_physical", kWord, "", "address of a nested page fault"},
    Column{"signal", kInteger, "", "number of the signal that it sent (requests); nothing: none"},
};
constexpr std::array kInterrupts{
    Column{"partition", kInteger, "", "partition; nothing: the host's own"},
    Column{"vp", kInteger, "", "virtual processor"},
    Column{"lp", kInteger, "", "logical processor"},
    Column{"time_ps", kInteger, "ps", "virtual time at which it was accepted"},
    Column{"vector", kInteger, "", "vector"},
    Column{"cause", kText, "", "who asked for it"},
};
constexpr std::array kRequests{
    Column{"request", kInteger, "", "number, from 1"},
    Column{"partition", kInteger, "", "the guest"},
    Column{"channel", kInteger, "", "VMBus channel (relid)"},
    Column{"transaction_id", kWord, "", "the guest's name for it"},
    Column{"operation", kText, "", "SCSI operation; nothing: no SCSI request"},
    Column{"lba", kInteger, "blocks", "first block"},
    Column{"bytes", kInteger, "bytes", "asked for"},
    Column{"transferred", kInteger, "bytes", "moved"},
    Column{"srb_status", kInteger, "", "1: success"},
    Column{"scsi_status", kInteger, "", "0: good"},
    Column{"packet_bytes", kInteger, "bytes", "of the guest's packet"},
    Column{"answer_bytes", kInteger, "bytes", "of the answer's packet"},
    Column{"disk_commands", kInteger, "", "commands of the disk controller for it"},
    Column{"signal", kInteger, "", "of the guest (exits.signal); nothing: it came along"},
    Column{"answer_signal", kInteger, "", "of the root partition (exits.signal)"},
    Column{"signalled_ps", kInteger, "ps", "the guest's hypercall exits"},
    Column{"noticed_ps", kInteger, "ps", "the root's VMBus looks at the channel"},
    Column{"taken_ps", kInteger, "ps", "the packet is taken from the ring"},
    Column{"provider_begin_ps", kInteger, "ps", "the storage provider begins"},
    Column{"disk_taken_ps", kInteger, "ps", "the disk controller takes the first command"},
    Column{"disk_transfer_ps", kInteger, "ps", "DMA of the last command begins"},
    Column{"disk_completed_ps", kInteger, "ps", "the last command is completed"},
    Column{"disk_interrupt_ps", kInteger, "ps", "its interrupt arrives"},
    Column{"provider_end_ps", kInteger, "ps", "the storage provider ends"},
    Column{"answered_ps", kInteger, "ps", "the answer is in the ring"},
    Column{"answer_signalled_ps", kInteger, "ps", "the root signals"},
    Column{"interrupted_ps", kInteger, "ps", "the guest accepts the interrupt"},
};
constexpr std::array kDiskCommands{
    Column{"command", kInteger, "", "number, from 1"},
    Column{"command_id", kInteger, "", "queue x 65536 + identifier"},
    Column{"opcode", kText, "", "NVMe opcode by name, or its number"},
    Column{"lba", kInteger, "blocks", "first block"},
    Column{"blocks", kInteger, "blocks", "length"},
    Column{"bytes", kInteger, "bytes", "moved by DMA"},
    Column{"status", kInteger, "", "NVMe status field; 0: success; nothing: not completed"},
    Column{"request", kInteger, "", "requests.request that it is for; nothing: not known"},
    Column{"issued_ps", kInteger, "ps", "the root's driver makes it"},
    Column{"taken_ps", kInteger, "ps", "the controller takes it"},
    Column{"transfer_ps", kInteger, "ps", "its DMA begins"},
    Column{"completed_ps", kInteger, "ps", "its completion entry is written"},
    Column{"interrupt_ps", kInteger, "ps", "the controller's next interrupt arrives"},
};
constexpr std::array kQueueDepths{
    Column{"partition", kInteger, "", "of the channel; nothing: the disk controller"},
    Column{"channel", kInteger, "", "VMBus channel (relid); nothing: the disk controller"},
    Column{"time_ps", kInteger, "ps", "virtual time; holds until the next row"},
    Column{"open", kInteger, "requests", "taken and not yet answered"},
};
constexpr std::array kConsoleLines{
    Column{"partition", kInteger, "", "whose console; nothing: the bare machine's"},
    Column{"begin_ps", kInteger, "ps", "virtual time of the first byte"},
    Column{"end_ps", kInteger, "ps", "virtual time of the last byte"},
    Column{"text", kText, "", "without its end and without escape sequences"},
};
constexpr std::array kProcessorSamples{
    Column{"partition", kInteger, "", "partition; nothing: the bare machine"},
    Column{"vp", kInteger, "", "virtual processor"},
    Column{"lp", kInteger, "", "logical processor"},
    Column{"time_ps", kInteger, "ps", "virtual time"},
    Column{"instructions", kInteger, "instructions", "executed so far"},
    Column{"code_bytes", kInteger, "bytes", "of code, executed so far"},
    Column{"walks", kInteger, "walks", "of page tables so far"},
    Column{"walk_steps", kInteger, "entries", "of page tables read by them"},
};
constexpr std::array kIommuSamples{
    Column{"time_ps", kInteger, "ps", "virtual time"},
    Column{"translations", kInteger, "requests", "of DMA so far, one a page"},
    Column{"iotlb_hits", kInteger, "requests", "of them, found in the IOTLB"},
    Column{"context_hits", kInteger, "requests", "context entries found in the cache"},
    Column{"memory_references", kInteger, "entries", "of tables read from memory"},
};
constexpr std::array kEvents{
    Column{"event", kInteger, "", "number, in the trace's order"},
    Column{"time_ps", kInteger, "ps", "virtual time; may step back (docs/tracing.md)"},
    Column{"kind", kText, "", "kind of event (docs/tracing.md)"},
    Column{"lp", kInteger, "", "logical processor"},
    Column{"partition", kInteger, "", "partition"},
    Column{"vp", kInteger, "", "virtual processor"},
    Column{"argument1", kWord, "", "argument_names says what it is"},
    Column{"argument2", kWord, "", ""},
    Column{"argument3", kWord, "", ""},
    Column{"argument4", kWord, "", ""},
};
constexpr std::array kArgumentNames{
    Column{"kind", kText, "", "events.kind"},
    Column{"position", kInteger, "", "1 to 4"},
    Column{"name", kText, "", "of the argument"},
};
constexpr std::array kValueNames{
    Column{"kind", kText, "", "events.kind"},
    Column{"position", kInteger, "", "1 to 4"},
    Column{"value", kWord, "", "of the argument"},
    Column{"name", kText, "", "what the value is called"},
};

constexpr std::array<Table, kTables> kAll{
    Table{"trace", "What the trace says of itself", kTrace, ""},
    Table{"statistics", "The models' own counters; empty where the run has no report", kStatistics,
          ""},
    Table{"processor_spans", "What each logical processor did, without gaps", kProcessorSpans,
          "lp, begin_ps"},
    Table{"exits", "From each VM exit to the entry after it", kExits, "reason"},
    Table{"interrupts", "Interrupts that processors accepted", kInterrupts, "time_ps"},
    Table{"requests", "Packets of guests on VMBus channels, with their stages", kRequests,
          "taken_ps"},
    Table{"disk_commands", "Commands of the disk controller", kDiskCommands, "request"},
    Table{"queue_depths", "How many requests are open, at each change", kQueueDepths, "time_ps"},
    Table{"console_lines", "Lines of the serial consoles", kConsoleLines, "end_ps"},
    Table{"processor_samples", "Counters of processors, each millisecond", kProcessorSamples,
          "time_ps"},
    Table{"iommu_samples", "Counters of the IOMMU, each millisecond", kIommuSamples, "time_ps"},
    Table{"events", "Every event of the trace", kEvents, "kind, time_ps"},
    Table{"argument_names", "What events.argument1 to argument4 are", kArgumentNames, ""},
    Table{"value_names", "What values of arguments are called", kValueNames, "kind, position"},
};

}  // namespace

const Table& table(TableId id) {
    return kAll[static_cast<std::size_t>(id)];
}

}  // namespace hvsim::analysis
