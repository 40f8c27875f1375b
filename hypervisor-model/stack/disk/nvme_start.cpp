// Configuration, memory layout and the start of the controller (NVM Express 1.4, 7.6.1).
#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "devices/byte_order.h"
#include "hypervisor-model/stack/disk/nvme_driver.h"
#include "sim/error.h"

namespace hvsim::hv::stack {

namespace spec = devices::nvme::spec;
using devices::load_le;
using sim::kPageSize;

namespace {

constexpr std::uint32_t kAdminEntries = 16;
constexpr std::uint64_t kMostPages = kPageSize / sizeof(std::uint64_t);  // of one PRP list page
constexpr std::uint64_t kListedNamespaces = kPageSize / sizeof(std::uint32_t);
constexpr sim::Duration kTimeoutUnit = 500 * sim::kMillisecond;  // CAP.TO

// Identify CNS values (figure 244).
constexpr std::uint32_t kCnsNamespace = 0, kCnsController = 1, kCnsActiveList = 2;

struct CapLimits {  // 3.1.1, as far as the model's own table does not name them
    using DSTRD = sim::Bits<35, 32>;
    using MPSMIN = sim::Bits<51, 48>;
};

constexpr std::uint64_t page_aligned(std::uint64_t bytes) {
    return (bytes + kPageSize - 1) & ~(kPageSize - 1);
}

/// Offsets into the driver's memory.
struct Layout {
    std::uint64_t admin_submission = 0;
    std::uint64_t admin_completion = kPageSize;
    std::uint64_t identify = 2 * kPageSize;
    std::uint64_t submission = 3 * kPageSize;
    std::uint64_t completion, lists, bounce, end;

    explicit Layout(const NvmeDriverConfig& config)
        : completion(submission + page_aligned(config.queue_depth * spec::kSubmissionSize)),
          lists(completion + page_aligned(config.queue_depth * spec::kCompletionSize)),
          bounce(lists + (config.queue_depth - 1) * kPageSize),
          end(bounce + std::uint64_t{config.bounce_buffers} * config.bounce_pages * kPageSize) {}
};

void check_range(std::string_view name, std::uint64_t value, std::uint64_t least,
                 std::uint64_t most) {
    if (value < least || value > most)
        throw sim::ConfigError(fmt::format("disk driver: {} is {}", name, value),
                               fmt::format("use {} to {}", least, most));
}

std::string at(const NvmeDriverConfig& config) {
    return fmt::format("disk controller at {:#x}", config.registers);
}

}  // namespace

NvmeDriver::NvmeDriver(const NvmeDriverConfig& config, CoreAccess& core,
                       DiskCompletionHandler& handler)
    : config_(config), core_(core), handler_(handler) {
    check_range("queue_depth", config.queue_depth, 2, 4096);
    check_range("bounce_buffers", config.bounce_buffers, 1, 64);
    check_range("bounce_pages", config.bounce_pages, 1, kMostPages);
    check_range("vector", config.vector, 0, spec::kMostVectors - 1);
    check_range("poll_interval", config.poll_interval, 1, sim::kSecond);
    check_range("command_timeout", config.command_timeout, 1, sim::kNever - 1);
    if (config.memory % kPageSize != 0 || config.memory_size < memory_needed(config))
        throw sim::ConfigError(
            fmt::format("disk driver: {} bytes of memory at {:#x}", config.memory_size,
                        config.memory),
            fmt::format("give it {} bytes at a page's begin", memory_needed(config)));
    slots_.resize(config.queue_depth - 1);
    bounce_used_.resize(config.bounce_buffers);
}

std::uint64_t NvmeDriver::memory_needed(const NvmeDriverConfig& config) {
    return Layout(config).end;
}
std::uint64_t NvmeDriver::list_page(std::uint32_t slot) const {
    return config_.memory + Layout(config_).lists + slot * kPageSize;
}
std::uint64_t NvmeDriver::bounce_buffer(std::uint32_t bounce) const {
    return config_.memory + Layout(config_).bounce + bounce * bounce_bytes();
}
std::uint64_t NvmeDriver::bounce_bytes() const {
    return config_.bounce_pages * kPageSize;
}

void NvmeDriver::clear_queue(const Queue& queue) {
    const std::vector<std::uint8_t> zeros(queue.entries * spec::kCompletionSize);
    if (!core_.write_memory(queue.completion, zeros))
        throw sim::ConfigError(
            fmt::format("disk driver: there is no memory at {:#x}", queue.completion),
            "give it memory that the root has");
}

void NvmeDriver::enter(Stage stage) {
    stage_ = stage;
    give_up_at_ = core_.now() + controller_timeout_;
}

/// Lets the controller have its time.
void NvmeDriver::wait() {
    if (core_.now() >= give_up_at_)
        throw sim::ConfigError(at(config_) + fmt::format(" does not answer within {} ms",
                                                         controller_timeout_ / sim::kMillisecond),
                               "its DMA may be refused, or its enable_time longer than it says");
    core_.charge(config_.poll_interval);
}

void NvmeDriver::start() {
    ++counts_.starts;
    const std::uint64_t cap = read_register(spec::kCap, 8);
    if (cap == ~std::uint64_t{0})
        throw sim::ConfigError(at(config_) + " is not there", "check the root's device memory");
    if (!sim::bit(cap, spec::Cap::CSS::kLow) || CapLimits::DSTRD::get(cap) != 0 ||
        CapLimits::MPSMIN::get(cap) != 0)
        throw sim::ConfigError(at(config_) + " has not what the driver needs",
                               "the NVM command set, 4 KiB pages and doorbells without a gap");
    if (spec::Cap::MQES::get(cap) + 1 < config_.queue_depth)
        throw sim::ConfigError(
            at(config_) + fmt::format(" has queues of {} entries", spec::Cap::MQES::get(cap) + 1),
            "lower the driver's queue_depth");
    controller_timeout_ = std::max<std::uint64_t>(spec::Cap::TO::get(cap), 1) * kTimeoutUnit;
    write_register(spec::kCc, 4, 0);
    enter(Stage::disabling);
}

void NvmeDriver::continue_start() {
    if (stage_ == Stage::off || stage_ == Stage::ready) return;
    if (stage_ == Stage::disabling || stage_ == Stage::enabling) {
        const std::uint64_t csts = read_register(spec::kCsts, 4);
        const bool running = spec::Csts::RDY::test(csts);
        if (stage_ == Stage::disabling && !running) {
            // From here on the controller touches no memory (7.3.2).
            abandon_all();
            enable();
            deliver();
        } else if (stage_ == Stage::enabling && spec::Csts::CFS::test(csts)) {
            throw sim::ConfigError(at(config_) + " stops when it is enabled");
        } else if (stage_ == Stage::enabling && running) {
            ask(Stage::identify_controller);
        } else {
            wait();
        }
        return;
    }
    Completion completion;
    if (!take(admin_, completion)) {
        wait();
        return;
    }
    ring_completion(0, admin_);
    answered(completion);
}

void NvmeDriver::enable() {
    const Layout layout(config_);
    admin_ = {config_.memory + layout.admin_submission,
              config_.memory + layout.admin_completion,
              kAdminEntries,
              0,
              0,
              true};
    io_ = {config_.memory + layout.submission,
           config_.memory + layout.completion,
           config_.queue_depth,
           0,
           0,
           true};
    rung_tail_ = 0;
    disks_.clear();
    found_.clear();
    clear_queue(admin_);
    clear_queue(io_);
    std::uint32_t aqa = spec::Aqa::ASQS::set(std::uint32_t{0}, kAdminEntries - 1);
    aqa = spec::Aqa::ACQS::set(aqa, kAdminEntries - 1);
    write_register(spec::kAqa, 4, aqa);
    write_register(spec::kAsq, 8, admin_.submission);
    write_register(spec::kAcq, 8, admin_.completion);
    // The admin queue is looked at, its interrupt is masked.
    write_register(spec::kMsixTable + 12, 4, 1);
    std::uint32_t cc = spec::Cc::IOSQES::set(std::uint32_t{1}, spec::kSubmissionSizeLog2);
    cc = spec::Cc::IOCQES::set(cc, spec::kCompletionSizeLog2);
    write_register(spec::kCc, 4, cc);
    enter(Stage::enabling);
}

spec::Command NvmeDriver::admin_command(Stage stage) const {
    spec::Command command;
    const auto set = [&command](spec::AdminOpcode opcode, std::uint32_t nsid, std::uint64_t prp1,
                                std::uint32_t dword10, std::uint32_t dword11) {
        command.dword[0] = static_cast<std::uint32_t>(opcode);
        command.dword[1] = nsid;
        command.dword[6] = static_cast<std::uint32_t>(prp1);
        command.dword[7] = static_cast<std::uint32_t>(prp1 >> 32);
        command.dword[10] = dword10;
        command.dword[11] = dword11;
    };
    constexpr std::uint32_t kQueue = 1, kContiguous = 1, kInterrupts = 2;
    const std::uint64_t page = config_.memory + Layout(config_).identify;
    const std::uint32_t size_and_id = (config_.queue_depth - 1) << 16 | kQueue;
    switch (stage) {
        case Stage::identify_controller:
            set(spec::AdminOpcode::identify, 0, page, kCnsController, 0);
            break;
        case Stage::request_queues:  // one pair: both counts are 0's based (5.21.1.7)
            set(spec::AdminOpcode::set_features, 0, 0,
                static_cast<std::uint32_t>(spec::Feature::number_of_queues), 0);
            break;
        case Stage::list_namespaces:
            set(spec::AdminOpcode::identify, found_.empty() ? 0 : found_.back(), page,
                kCnsActiveList, 0);
            break;
        case Stage::identify_namespace:
            set(spec::AdminOpcode::identify, found_.at(identifying_), page, kCnsNamespace, 0);
            break;
        case Stage::create_completion_queue:  // 5.3
            set(spec::AdminOpcode::create_io_cq, 0, io_.completion, size_and_id,
                config_.vector << 16 | kInterrupts | kContiguous);
            break;
        case Stage::create_submission_queue:  // 5.4
            set(spec::AdminOpcode::create_io_sq, 0, io_.submission, size_and_id,
                kQueue << 16 | kContiguous);
            break;
        default:
            SIM_ASSERT(false && "a stage without a command");
    }
    command.dword[0] |= static_cast<std::uint32_t>(stage) << 16;
    return command;
}

void NvmeDriver::ask(Stage stage) {
    enter(stage);
    put(admin_, admin_command(stage));
    ring_submission(0, admin_);
}

void NvmeDriver::answered(const Completion& completion) {
    SIM_ASSERT(completion.command == static_cast<std::uint16_t>(stage_));
    if (!completion.status.ok())
        throw sim::ConfigError(
            at(config_) +
                fmt::format(" refuses admin command {:#x} with status type {}, code {:#x}",
                            admin_command(stage_).opcode(), completion.status.type,
                            completion.status.code),
            "check the driver's queue_depth and vector against the controller's");
    switch (stage_) {
        case Stage::identify_controller:
            read_controller_page();
            ask(Stage::request_queues);
            break;
        case Stage::request_queues:
            ask(Stage::list_namespaces);
            break;
        case Stage::list_namespaces:
            read_namespace_list();
            identify_next_namespace();
            break;
        case Stage::identify_namespace:
            read_namespace_page();
            ++identifying_;
            identify_next_namespace();
            break;
        case Stage::create_completion_queue:
            ask(Stage::create_submission_queue);
            break;
        default:
            set_interrupt(config_.interrupt);
            stage_ = Stage::ready;
            break;
    }
}

/// A list that is not full is the last one (5.15.2.3).
void NvmeDriver::identify_next_namespace() {
    if (identifying_ < found_.size())
        ask(Stage::identify_namespace);
    else if (found_.size() == kListedNamespaces)
        ask(Stage::list_namespaces);
    else
        ask(Stage::create_completion_queue);
}

std::array<std::uint8_t, kPageSize> NvmeDriver::identify_page() {
    std::array<std::uint8_t, kPageSize> page;
    SIM_ASSERT(core_.read_memory(config_.memory + Layout(config_).identify, page));
    return page;
}

// Figure 247.
void NvmeDriver::read_controller_page() {
    const auto page = identify_page();
    const unsigned log2 = page[77];  // MDTS, in units of CAP.MPSMIN; 0 = no limit
    const std::uint64_t limit = log2 == 0 || log2 >= 9 ? kMostPages : std::uint64_t{1} << log2;
    most_bytes_ = limit * kPageSize;
    discard_ = sim::bit(load_le<std::uint16_t>(page, 520), 2);  // ONCS
    write_cache_ = sim::bit(page[525], 0);                      // VWC
}

void NvmeDriver::read_namespace_list() {
    const auto page = identify_page();
    found_.clear();
    identifying_ = 0;
    for (std::size_t i = 0; i < kListedNamespaces; ++i) {
        const auto id = load_le<std::uint32_t>(page, i * 4);
        if (id == 0) break;
        found_.push_back(id);
    }
}

// Figure 245. A format that the driver cannot use (metadata, blocks larger than a bounce buffer)
// makes no disk.
void NvmeDriver::read_namespace_page() {
    const auto page = identify_page();
    const std::size_t format = 128 + 4 * sim::Bits<3, 0>::get(page[26]);
    const unsigned log2 = page[format + 2];
    const auto blocks = load_le<std::uint64_t>(page, 0);
    if (load_le<std::uint16_t>(page, format) != 0 || log2 < 9 || log2 > 21) return;
    const std::uint32_t block_size = 1u << log2;
    if (block_size > std::min(bounce_bytes(), most_bytes_) ||
        blocks > (std::uint64_t{1} << 63 >> log2))
        return;
    disks_[found_[identifying_]] = {block_size, blocks, sim::bit(page[99], 0), write_cache_,
                                    discard_};
}

void NvmeDriver::set_interrupt(const InterruptMessage& message) {
    config_.interrupt = message;
    const std::uint32_t entry = spec::kMsixTable + 16 * config_.vector;
    write_register(entry + 12, 4, 1);
    write_register(entry, 4, message.address & 0xffffffff);
    write_register(entry + 4, 4, message.address >> 32);
    write_register(entry + 8, 4, message.data);
    write_register(entry + 12, 4, 0);
}

bool NvmeDriver::overdue() const {
    return std::any_of(slots_.begin(), slots_.end(), [this](const Slot& slot) {
        return slot.used && core_.now() - slot.issued >= config_.command_timeout;
    });
}

bool NvmeDriver::watch() {
    if (!ready()) return false;
    if (spec::Csts::CFS::test(read_register(spec::kCsts, 4))) {
        ++counts_.stops;
    } else {
        if (!overdue()) return true;
        ++counts_.timeouts;
        take_completions();
        if (!overdue()) return true;
    }
    start();
    return false;
}

}  // namespace hvsim::hv::stack
