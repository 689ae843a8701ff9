//! The generated code says what the file says.

use std::fs;

use prost::Message as _;

const OURS: &str = "src/store/wire";
const FILES: [&str; 2] = ["tidings.store.v1.rs", "descriptors.bin"];

#[test]
fn the_generated_code_is_fresh() {
    let folder = tempfile::tempdir().unwrap();
    let descriptors = protox::compile(["tidings/store/v1/event_store.proto"], ["proto"]).unwrap();
    fs::write(folder.path().join(FILES[1]), descriptors.encode_to_vec()).unwrap();
    let generator = tonic_prost_build::configure().build_transport(false).bytes(".").out_dir(folder.path());
    let generator = generator.codec_path("crate::store::wire::codec::BoundedCodec");
    generator.compile_fds(descriptors).unwrap();
    for file in FILES {
        let fresh = fs::read(folder.path().join(file)).unwrap();
        let ours = format!("{OURS}/{file}");
        if std::env::var_os("TIDINGS_REGENERATE").is_some() {
            fs::write(&ours, &fresh).unwrap();
        }
        let is_fresh = fs::read(&ours).is_ok_and(|ours| ours == fresh);
        assert!(is_fresh, "{ours} is not what the .proto file makes: run this test with TIDINGS_REGENERATE=1");
    }
}
