#include "hypervisor-model/stack/worker_process.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "devices/firmware/acpi_tables.h"
#include "hypervisor-model/spec/registers.h"
#include "hypervisor-model/stack/boot/vmbus_acpi.h"
#include "hypervisor-model/stack/string_io.h"
#include "sim/error.h"

namespace hvsim::hv::stack {
namespace {

namespace firmware = devices::firmware;

constexpr std::uint64_t kLargePage = 2 << 20;
constexpr std::uint32_t kMapAll =
    hc::kMapRead | hc::kMapWrite | hc::kMapKernelExecute | hc::kMapUserExecute;
constexpr std::uint64_t kIoApicPage = 0xfec00000;
constexpr unsigned kIoApicPins = 24;

/// Parent's side of a wrong status while it builds a machine: a bug of this software.
void expect_success(HvStatus status, const char* what) {
    if (status == HvStatus::success) return;
    throw sim::ModelError(fmt::format("{} answered {:#06x}", what, static_cast<unsigned>(status)));
}

template <typename Payload>
Payload payload_of(const MessageSlot& message) {
    static_assert(sizeof(Payload) <= kMessagePayloadMax);
    Payload payload;
    std::memcpy(&payload, message.payload.data(), sizeof payload);
    return payload;
}

/// Writes into the child's memory through the root's own mapping of it.
class ChildMemoryWriter final : public firmware::GuestMemoryWriter {
  public:
    ChildMemoryWriter(const WorkerProcess& worker, RootVp& vp, const sim::TimingProfile& timing)
        : worker_(worker), vp_(vp), timing_(timing) {}
    bool write(std::uint64_t gpa, std::span<const std::uint8_t> bytes) override {
        const auto address = worker_.root_address(gpa, bytes.size());
        if (!address) return false;
        const std::uint64_t pages = bytes.size() / sim::kPageSize + 1;
        vp_.winhv().core().charge(pages * timing_.root_page);
        return vp_.winhv().core().write_memory(*address, bytes);
    }

  private:
    const WorkerProcess& worker_;
    RootVp& vp_;
    const sim::TimingProfile& timing_;
};

hc::RegisterAssociation reg64(std::uint32_t name, std::uint64_t value) {
    hc::RegisterAssociation association;
    association.name = name;
    association.value.low = value;
    return association;
}

hc::RegisterAssociation reg_segment(std::uint32_t name, const firmware::BootSegment& segment) {
    hc::RegisterAssociation association;
    association.name = name;
    association.value = RegisterValue::of(
        WireSegment::from({segment.selector, segment.limit, segment.base, segment.attributes}));
    return association;
}

hc::RegisterAssociation reg_table(std::uint32_t name, std::uint64_t base, std::uint16_t limit) {
    hc::RegisterAssociation association;
    association.name = name;
    WireTable table;
    table.base = base;
    table.limit = limit;
    association.value = RegisterValue::of(table);
    return association;
}

}  // namespace

/// A wire to the I/O APIC of the machine.
class WorkerProcess::Pin final : public devices::InterruptLine {
  public:
    Pin(apic::IoApic& io_apic, unsigned pin) : io_apic_(io_apic), pin_(pin) {}
    void set(bool level, sim::Time now) override { io_apic_.set_pin(pin_, level, now); }

  private:
    apic::IoApic& io_apic_;
    unsigned pin_;
};

/// Device memory of a test device.
class WorkerProcess::Window final : public cpu::engine::MmioHandler {
  public:
    Window(devices::RegisterDevice& device, std::uint64_t base) : device_(device), base_(base) {}
    std::uint64_t mmio_read(std::uint64_t physical, unsigned size) override {
        sim::Time now = 0;  // these devices know no time
        return device_.read_register(physical - base_, size, now);
    }
    void mmio_write(std::uint64_t physical, unsigned size, std::uint64_t value) override {
        device_.write_register(physical - base_, size, value, 0);
    }

  private:
    devices::RegisterDevice& device_;
    std::uint64_t base_;
};

/// Nobody answers: reads see all ones, writes get lost.
class WorkerProcess::OpenBus final : public cpu::engine::MmioHandler {
  public:
    std::uint64_t mmio_read(std::uint64_t, unsigned size) override {
        return ~std::uint64_t{0} >> (64 - 8 * size);
    }
    void mmio_write(std::uint64_t, unsigned, std::uint64_t) override {}
};

WorkerProcess::WorkerProcess(RootPartition& root, WorkerServices& services,
                             VmDescription description, devices::CharacterSink& console,
                             sim::Recorder& recorder)
    : root_(root),
      services_(services),
      description_(std::move(description)),
      io_apic_({}, *this),
      uart_pin_(std::make_unique<Pin>(io_apic_, 4)),
      rtc_pin_(std::make_unique<Pin>(io_apic_, 8)),
      sci_pin_(std::make_unique<Pin>(io_apic_, 9)),
      uart_({}, &console, uart_pin_.get(), &recorder),
      rtc_({description_.date}, rtc_pin_.get()),
      acpi_pm_(devices::PmTimer(32), this, sci_pin_.get()),
      reset_register_(0x06, this),
      synic_test_(root),
      open_bus_(std::make_unique<OpenBus>()),
      ports_{{0x3f8, 0x3ff, &uart_, 0x3f8},
             {0x70, 0x71, &rtc_, 0x70},
             {0x400, 0x40f, &acpi_pm_, 0x400},
             {0xcf9, 0xcf9, &reset_register_, 0xcf9}} {
    firmware::MemoryPlanConfig config;
    config.ram_bytes = description_.ram;
    config.where = description_.where;
    plan_ = firmware::plan_memory(config);
    add_test_devices();
    root_.add_client(*this);
}

void WorkerProcess::add_test_devices() {
    devices::TestBoard board;
    board.exit = this;
    board.machine = {static_cast<std::uint16_t>(description_.processors), description_.ram};
    board.synic = &synic_test_;
    for (unsigned pin = 0; pin < kIoApicPins; ++pin) {
        test_pins_.push_back(std::make_unique<Pin>(io_apic_, pin));
        board.lines.push_back(test_pins_.back().get());
    }
    for (const devices::TestDeviceKind kind : description_.test_devices)
        for (devices::TestPart& part : devices::make_test_device(kind, board)) {
            const auto first = static_cast<std::uint16_t>(part.base);
            if (part.memory)
                windows_.push_back(std::make_unique<Window>(*part.device, part.base));
            else
                ports_.push_back({first, static_cast<std::uint16_t>(first + part.size - 1),
                                  part.device.get(), first});
            test_parts_.push_back(std::move(part));
        }
}

WorkerProcess::~WorkerProcess() = default;

std::optional<std::uint64_t> WorkerProcess::root_address(std::uint64_t gpa,
                                                         std::uint64_t length) const {
    const auto within = [&](const firmware::AddressRange& range) {
        return gpa >= range.base && length <= range.length &&
               gpa - range.base <= range.length - length;
    };
    if (within(plan_.low_ram)) return memory_base_ + gpa;
    if (within(plan_.high_ram))
        return memory_base_ + plan_.low_ram.length + (gpa - plan_.high_ram.base);
    return std::nullopt;
}

// --- creation ---

void WorkerProcess::create(RootVp& vp) {
    WinHv& winhv = vp.winhv();
    expect_success(winhv.create_partition(partition_), "HvCallCreatePartition");
    expect_success(winhv.initialize_partition(partition_), "HvCallInitializePartition");
    root_.set_intercept_client(partition_, *this);
    memory_base_ = root_.memory().allocate(plan_.ram_bytes, kLargePage);
    const std::uint64_t source = sim::page_of(memory_base_);
    const std::uint64_t low_pages = plan_.low_ram.length >> sim::kPageShift;
    expect_success(winhv.map_memory(partition_, 0, source, low_pages, kMapAll),
                   "HvCallMapGpaPages");
    if (plan_.high_ram.length != 0)
        expect_success(
            winhv.map_memory(partition_, sim::page_of(plan_.high_ram.base), source + low_pages,
                             plan_.high_ram.length >> sim::kPageShift, kMapAll),
            "HvCallMapGpaPages");
    for (VpIndex i = 0; i < description_.processors; ++i)
        expect_success(winhv.create_vp(partition_, i), "HvCallCreateVp");
    for (const PortRange& range : ports_)
        expect_success(
            winhv.install_intercept(partition_, InterceptType::io_port_range,
                                    kInterceptRead | kInterceptWrite,
                                    range.first | static_cast<std::uint64_t>(range.last) << 16),
            "HvCallInstallIntercept");
    expect_success(winhv.install_intercept(partition_, InterceptType::apic_eoi, kInterceptWrite, 0),
                   "HvCallInstallIntercept");
    services_.add_device_page(partition_, kIoApicPage, *this);
    std::size_t window = 0;
    for (const devices::TestPart& part : test_parts_) {
        if (!part.memory) continue;
        for (std::uint64_t offset = 0; offset < part.size; offset += sim::kPageSize)
            services_.add_device_page(partition_, part.base + offset, *windows_.at(window));
        ++window;
    }
    services_.set_open_bus(partition_, *open_bus_);
    synic_test_.set_partition(partition_);
    services_.vm_starting(vp, partition_);
}

void WorkerProcess::load(RootVp& vp) {
    ChildMemoryWriter writer(*this, vp, root_.timing());
    firmware::AcpiConfig acpi;
    for (std::uint32_t i = 0; i < description_.processors; ++i) acpi.apic_ids.push_back(i);
    acpi.devices.push_back(boot::vmbus_acpi_device(plan_));
    acpi.where = description_.where;
    const firmware::AcpiImage image = firmware::build_acpi(acpi);
    firmware::write_acpi(image, writer);
    start_processors(vp, firmware::load_boot_image(description_.boot, plan_, image.rsdp(), writer));
}

/// The boot processor's registers; the others wait for INIT and SIPI as after power-up.
void WorkerProcess::start_processors(RootVp& vp, const firmware::StartState& state) {
    std::vector<hc::RegisterAssociation> registers{
        reg64(reg::kEfer, state.efer),
        reg64(reg::kCr4, state.cr4),
        reg64(reg::kCr3, state.cr3),
        reg64(reg::kCr0, state.cr0),
        reg_segment(reg::kEs, state.es),
        reg_segment(reg::kEs + 1, state.cs),
        reg_segment(reg::kEs + 2, state.ss),
        reg_segment(reg::kEs + 3, state.ds),
        reg_segment(reg::kEs + 4, state.fs),
        reg_segment(reg::kEs + 5, state.gs),
        reg_segment(reg::kEs + 6, state.ldtr),
        reg_segment(reg::kTr, state.tr),
        reg_table(reg::kGdtr, state.gdt_base, state.gdt_limit),
        reg_table(reg::kIdtr, 0, state.idt_limit),
        reg64(reg::kRflags, state.rflags),
        reg64(reg::kRip, state.rip),
    };
    // The numbers of kRax and so on are the registers' encodings too.
    for (std::uint32_t i = 0; i < firmware::kBootRegisters; ++i)
        registers.push_back(reg64(reg::kRax + i, state.gpr[i]));
    expect_success(vp.winhv().set_registers(partition_, 0, registers), "HvCallSetVpRegisters");
    for (VpIndex i = 0; i < description_.processors; ++i) {
        const hc::RegisterAssociation run = reg64(reg::kExplicitSuspend, 0);
        expect_success(vp.winhv().set_registers(partition_, i, {&run, 1}), "HvCallSetVpRegisters");
    }
}

// --- work ---

sim::Time WorkerProcess::next_deadline() const {
    return std::min({uart_.next_deadline(), rtc_.next_deadline(), acpi_pm_.next_deadline()});
}

bool WorkerProcess::on_work(RootVp& vp) {
    if (!created_) {
        created_ = true;
        create(vp);
        load(vp);
        return true;
    }
    const sim::Time now = vp.winhv().core().now();
    if (!typed_.empty()) {
        std::vector<std::uint8_t> bytes(typed_.begin(), typed_.end());
        typed_.clear();
        uart_.queue_input(bytes, now);
        return true;
    }
    if (next_deadline() <= now) {
        for (sim::Clocked* device :
             {static_cast<sim::Clocked*>(&uart_), static_cast<sim::Clocked*>(&rtc_),
              static_cast<sim::Clocked*>(&acpi_pm_)})
            if (device->next_deadline() <= now) device->advance_to(now);
        return true;
    }
    if (interrupts_.empty()) return false;
    deliver_interrupts(vp);
    return true;
}

void WorkerProcess::deliver_interrupts(RootVp& vp) {
    while (!interrupts_.empty()) {
        const apic::InterruptMessage message = interrupts_.front();
        interrupts_.pop_front();
        hc::AssertInterrupt input;
        input.type = static_cast<std::uint32_t>(message.delivery_mode);
        if (message.trigger == apic::TriggerMode::level) input.flags |= hc::kAssertLevel;
        if (message.destination_mode == apic::DestinationMode::logical)
            input.flags |= hc::kAssertLogical;
        input.destination = message.destination;
        input.vector = message.vector;
        vp.winhv().assert_interrupt(partition_, input);
    }
}

void WorkerProcess::write_msi(apic::MsiMessage message, apic::InterruptSource, sim::Time now) {
    if (const auto decoded = apic::decode_msi(message)) {
        interrupts_.push_back(*decoded);
        services_.notify_root(now);
    }
}

// --- intercepts ---

void WorkerProcess::on_intercept(RootVp& vp, const MessageSlot& message) {
    const sim::Time now = vp.winhv().core().now();
    switch (static_cast<MessageType>(message.type)) {
        case MessageType::io_port_intercept:
            io_intercept(vp, message);
            break;
        case MessageType::unmapped_gpa:
        case MessageType::gpa_intercept:
            memory_intercept(vp, message);
            break;
        case MessageType::apic_eoi:
            io_apic_.broadcast_eoi(
                static_cast<std::uint8_t>(payload_of<ApicEoiMessage>(message).vector), now);
            break;
        case MessageType::unrecoverable_exception: {
            const auto intercept = payload_of<UnrecoverableExceptionIntercept>(message);
            finish(VmEnd::triple_fault, now,
                   fmt::format("processor {} at RIP {:#x}", intercept.header.vp_index,
                               intercept.header.rip));
            break;
        }
        default:
            break;
    }
    deliver_interrupts(vp);
}

void WorkerProcess::resume(RootVp& vp, VpIndex target, std::uint64_t rip,
                           std::optional<std::uint64_t> rax) {
    std::vector<hc::RegisterAssociation> registers{reg64(reg::kRip, rip)};
    if (rax) registers.push_back(reg64(reg::kRax, *rax));
    registers.push_back(reg64(reg::kInterceptSuspend, 0));
    vp.winhv().set_registers(partition_, target, registers);
}

std::uint32_t WorkerProcess::read_port(std::uint16_t port, unsigned size, sim::Time& now) {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < size;) {
        const auto number = static_cast<std::uint16_t>(port + i);
        unsigned step = 1;
        std::uint64_t part = 0xff;
        for (const PortRange& range : ports_) {
            if (number < range.first || number > range.last) continue;
            step = std::min(size - i, range.device->widest_access());
            part = range.device->read_register(number - range.base, step, now);
        }
        value |= static_cast<std::uint32_t>(part & (0xffffffffu >> (32 - 8 * step))) << (8 * i);
        i += step;
    }
    return value;
}

void WorkerProcess::write_port(std::uint16_t port, unsigned size, std::uint32_t value,
                               sim::Time now) {
    for (unsigned i = 0; i < size;) {
        const auto number = static_cast<std::uint16_t>(port + i);
        unsigned step = 1;
        for (const PortRange& range : ports_) {
            if (number < range.first || number > range.last) continue;
            step = std::min(size - i, range.device->widest_access());
            range.device->write_register(number - range.base, step,
                                         value >> (8 * i) & (0xffffffffu >> (32 - 8 * step)), now);
        }
        i += step;
    }
}

void WorkerProcess::io_intercept(RootVp& vp, const MessageSlot& message) {
    const auto intercept = payload_of<IoPortIntercept>(message);
    const unsigned size = std::min(intercept.access_info & 7u, 4u);
    const bool write = intercept.header.access == static_cast<std::uint8_t>(InterceptAccess::write);
    const std::uint64_t next =
        intercept.header.rip + (intercept.header.instruction_length_cr8 & 0xf);
    const VpIndex target = intercept.header.vp_index;
    sim::Time now = vp.winhv().core().now();
    if (intercept.access_info & kIoString) return string_io(vp, intercept);
    if (write) {
        synic_test_.work_on(vp);
        write_port(intercept.port, size, static_cast<std::uint32_t>(intercept.rax), now);
        if (end_ == VmEnd::running) resume(vp, target, next, std::nullopt);
        return;
    }
    const std::uint64_t value = read_port(intercept.port, size, now);
    const std::uint64_t mask = size == 4 ? 0xffffffff : size == 2 ? 0xffff : 0xff;
    const std::uint64_t rax = size == 4 ? value : (intercept.rax & ~mask) | (value & mask);
    resume(vp, target, next, rax);
}

/// INS and OUTS: memory is reached through the guest's own tables.
class WorkerProcess::StringIo final : public StringIoTarget {
  public:
    StringIo(WorkerProcess& worker, RootVp& vp, VpIndex index)
        : worker_(worker), vp_(vp), index_(index) {}
    hc::TranslateResult translate(std::uint64_t linear_page, bool write) override {
        hc::TranslateResult result;
        const std::uint64_t control =
            (write ? hc::kTranslateWrite : hc::kTranslateRead) | hc::kTranslateSetPageTableBits;
        expect_success(
            vp_.winhv().translate(worker_.partition_, index_, linear_page, control, result),
            "HvCallTranslateVirtualAddress");
        return result;
    }
    void read(std::uint64_t gpa, std::span<std::uint8_t> out) override {
        const auto address = worker_.root_address(gpa, out.size());
        if (!address || !core().read_memory(*address, out))
            std::fill(out.begin(), out.end(), std::uint8_t{0xff});
    }
    void write(std::uint64_t gpa, std::span<const std::uint8_t> in) override {
        if (const auto address = worker_.root_address(gpa, in.size()))
            core().write_memory(*address, in);
    }
    std::uint32_t read_port(std::uint16_t port, unsigned size) override {
        sim::Time now = core().now();
        return worker_.read_port(port, size, now);
    }
    void write_port(std::uint16_t port, unsigned size, std::uint32_t value) override {
        worker_.write_port(port, size, value, core().now());
    }
    std::uint64_t segment_base(unsigned segment) override {
        const std::uint32_t name = reg::kEs + segment;
        RegisterValue value;
        expect_success(
            vp_.winhv().get_registers(worker_.partition_, index_, {&name, 1}, {&value, 1}),
            "HvCallGetVpRegisters");
        return value.segment().base;
    }

  private:
    cpu::NativeCore& core() { return vp_.winhv().core(); }

    WorkerProcess& worker_;
    RootVp& vp_;
    VpIndex index_;
};

void WorkerProcess::string_io(RootVp& vp, const IoPortIntercept& intercept) {
    using Pending = reg::PendingException;
    const VpIndex target = intercept.header.vp_index;
    StringIo access(*this, vp, target);
    const StringIoResult result = emulate_string_io(intercept, access);
    if (end_ != VmEnd::running) return;
    std::vector<hc::RegisterAssociation> registers{
        reg64(reg::kRip, result.rip), reg64(reg::kRax + cpu::engine::kRcx, result.rcx),
        reg64(reg::kRax + cpu::engine::kRsi, result.rsi),
        reg64(reg::kRax + cpu::engine::kRdi, result.rdi)};
    if (result.fault) {
        hc::RegisterAssociation event =
            reg64(reg::kPendingEvent0, Pending::kPending | Pending::kDeliverErrorCode);
        event.value.low = Pending::Vector::set(event.value.low, result.fault->vector);
        event.value.low = Pending::ErrorCode::set(event.value.low, result.fault->error_code);
        event.value.high = result.fault->address;
        registers.push_back(event);
    }
    registers.push_back(reg64(reg::kInterceptSuspend, 0));
    vp.winhv().set_registers(partition_, target, registers);
}

/// The open bus answers loads and stores. What comes here is the fetch of an instruction, or a page
/// table or hypercall page, where nothing is: the processor cannot go on.
void WorkerProcess::memory_intercept(RootVp& vp, const MessageSlot& message) {
    const auto intercept = payload_of<MemoryIntercept>(message);
    finish(VmEnd::triple_fault, vp.winhv().core().now(),
           fmt::format("processor {} accessed guest-physical address {:#x}, where nothing is, at "
                       "RIP {:#x}",
                       intercept.header.vp_index, intercept.gpa, intercept.header.rip));
}

void WorkerProcess::finish(VmEnd end, sim::Time now, const std::string& detail,
                           std::optional<std::uint32_t> exit_code) {
    if (end_ != VmEnd::running) return;
    end_ = end;
    services_.vm_ended(end, now, detail, exit_code);
}

void WorkerProcess::sleep(unsigned sleep_type, sim::Time now) {
    if (sleep_type == 0) finish(VmEnd::poweroff, now, {});  // S5 of the DSDT
}

void WorkerProcess::reset(sim::Time now) {
    finish(VmEnd::reset, now, {});
}

void WorkerProcess::exit(std::uint32_t code, sim::Time now) {
    finish(VmEnd::exit, now, fmt::format("exit code {}", code), code);
}

std::uint64_t WorkerProcess::mmio_read(std::uint64_t physical, unsigned size) {
    return io_apic_.mmio_read(static_cast<std::uint32_t>(physical & 0xfff), size);
}

void WorkerProcess::mmio_write(std::uint64_t physical, unsigned size, std::uint64_t value) {
    // The access comes from a virtual processor whose time the caller keeps; messages that it sends
    // are delivered when the root partition runs.
    io_apic_.mmio_write(static_cast<std::uint32_t>(physical & 0xfff), size, value, 0);
}

}  // namespace hvsim::hv::stack
