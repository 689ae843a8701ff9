-- The account and the databases of the tests, the same on every engine and every start.
-- One statement a line: the servers read this as an init file.
CREATE DATABASE IF NOT EXISTS tidings CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS 'tidings'@'%' IDENTIFIED BY 'tidings';
GRANT ALL PRIVILEGES ON `tidings`.* TO 'tidings'@'%';
GRANT ALL PRIVILEGES ON `tidings\_%`.* TO 'tidings'@'%';
-- What a change-data-capture connector asks for: to read the binary log.
GRANT RELOAD, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'tidings'@'%';
